package e2e

import (
	"bufio"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jackfield/test/live"
)

// websiteConfig is tunnelConfig with a website, which has room for one session: who asks for one page after the other needs no more.
const websiteConfig = tunnelConfig + `
service "site" {
  listeners    = ["web", "plain"]
  address      = env("site")
  web          = true
  max_sessions = 1
}
service "busy" {
  listeners = ["web", "plain"]
  address   = env("site")
  web       = true
}
`

// website is what a service has that speaks HTTP.
func website(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/sum":
		sum := sha256.New()
		n, _ := io.Copy(sum, r.Body)
		fmt.Fprintf(w, "%d %x", n, sum.Sum(nil))
	case "/early":
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\n\r\nBIG\n")
	case "/events":
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintf(w, "data: begun\n\n")
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	case "/echo":
		conn, both, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", r.Header.Get("Upgrade"))
		io.Copy(conn, both)
	default:
		fmt.Fprintf(w, "%s %s at %s", r.Method, r.URL.Path, r.Host)
	}
}

func newWebsiteOffice(t *testing.T) *office {
	t.Helper()
	site := httptest.NewServer(http.HandlerFunc(website))
	t.Cleanup(site.Close)
	o := newOffice(t, websiteConfig, "reply=127.0.0.1:9", "site="+site.Listener.Addr().String())
	writeFile(t, filepath.Join(o.dir, "authority.pem"), o.cli(t, "", "certificate", "authority")+"\n")
	return o
}

// TestWebsiteCurl: curl, told to use a proxy, has each page by a session of its own.
func TestWebsiteCurl(t *testing.T) {
	t.Parallel()
	curl := tool(t, "curl", "apt-get install curl")
	o := newWebsiteOffice(t)
	token := o.token(t, "curly")
	sent := string(pattern(3, 4<<20))
	writeFile(t, filepath.Join(o.dir, "sent"), sent)
	for _, listener := range []string{"plain", "web"} {
		with := func(args ...string) []string {
			return append([]string{"-sS", "--max-time", "120", "-x", o.proxy(listener), "--proxy-cacert", filepath.Join(o.dir, "authority.pem")}, args...)
		}
		me := []string{"--proxy-user", "curly:" + token}
		pages := with(append(me, "http://site/1", "http://Site:8080/2", "http://site/3")...)
		if got := runTool(t, nil, curl, pages...); got != "GET /1 at siteGET /2 at Site:8080GET /3 at site" {
			t.Errorf("by %s: %q", listener, got)
		}
		want := fmt.Sprintf("%d %x", len(sent), sha256.Sum256([]byte(sent)))
		for _, header := range []string{"X-Nothing: x", "Transfer-Encoding: chunked"} {
			up := with(append(me, "-T", filepath.Join(o.dir, "sent"), "-H", header, "http://site/sum")...)
			if got := runTool(t, nil, curl, up...); got != want {
				t.Errorf("by %s with %q: %q, want %q", listener, header, got, want)
			}
		}
		for _, test := range []struct {
			args []string
			want string
		}{
			{[]string{"http://site/"}, "407 say who you are"},
			{[]string{"http://missing/"}, "407 say who you are"},
			{append(me, "http://missing/"), "404 service not available"},
			{append(me, "http://echo/"), "421 reach it by CONNECT"},
			{append(me, "http://a.b.c/"), "400 the name of a service"},
			{append(me, "http://[::1]/"), "400 the name of a service"},
			{append(me, "http://127.0.0.1/"), "400 the name of a service"},
			{append(me, "--path-as-is", "http://site/../etc"), "200 GET /../etc at site"},
		} {
			got := runTool(t, nil, curl, with(append(test.args, "-w", "\n%{http_code}\n")...)...)
			status, says, _ := strings.Cut(test.want, " ")
			if !strings.HasSuffix(got, "\n"+status+"\n") || !strings.Contains(got, says) {
				t.Errorf("by %s, %v: %q, want %q", listener, test.args, got, test.want)
			}
		}
	}
	o.expectRecords(t, 12, live.Equal("event", "close"), live.Equal("user", "curly"), live.Equal("service", "site"),
		live.Equal("proof", "token"), live.Equal("end", "finished"))
}

// fetch has pages by urllib, and shows what it is told of a refusal.
const fetch = `
import ssl, sys, urllib.error, urllib.request
proxy, authority, *targets = sys.argv[1:]
opener = urllib.request.build_opener(
    urllib.request.ProxyHandler({"http": proxy}),
    urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=authority)))
for target in targets:
    try:
        print(opener.open(target, data=b"x" * 100000, timeout=120).read().decode())
    except urllib.error.HTTPError as e:
        print(e.code, e.headers["Proxy-Status"].split(";")[1].strip())
`

func TestWebsitePython(t *testing.T) {
	t.Parallel()
	python := tool(t, "python3", "apt-get install python3")
	o := newWebsiteOffice(t)
	token := o.token(t, "guido")
	for _, listener := range []string{"plain", "web"} {
		proxy := strings.Replace(o.proxy(listener), "://", "://guido:"+token+"@", 1)
		got := runTool(t, nil, python, "-c", fetch, proxy, filepath.Join(o.dir, "authority.pem"),
			"http://site/sum", "http://site/page", "http://missing/", "http://echo/")
		want := fmt.Sprintf("100000 %x\nPOST /page at site\n404 error=destination_not_found\n421 error=http_request_denied\n",
			sha256.Sum256([]byte(strings.Repeat("x", 100000))))
		if got != want {
			t.Errorf("by %s: %q, want %q", listener, got, want)
		}
	}
}

// dialProxy connects as HTTP/1.1 wants it.
func (o *office) dialProxy(t *testing.T, listener string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", o.Addresses[listener])
	if err != nil {
		t.Fatal(err)
	}
	if listener == "web" {
		conn = tls.Client(conn, &tls.Config{RootCAs: o.roots, ServerName: "localhost", NextProtos: []string{"http/1.1"}})
	}
	conn.SetDeadline(time.Now().Add(live.Patience))
	t.Cleanup(func() { conn.Close() })
	return conn
}

// TestWebsiteHostile: what is no request for a website gets a clear answer, never one of the API, and disturbs nobody.
func TestWebsiteHostile(t *testing.T) {
	t.Parallel()
	o := newWebsiteOffice(t)
	identified := "Proxy-Authorization: Bearer " + o.token(t, "mallory") + "\r\n"
	long := strings.Repeat("a", 64<<10)
	for _, listener := range []string{"plain", "web"} {
		for _, test := range []struct{ sent, statuses, says string }{
			{"GET https://site/ HTTP/1.1\r\nHost: site\r\n" + identified, "400", "use CONNECT"},
			{"GET http://ann:secret@site/ HTTP/1.1\r\nHost: site\r\n" + identified, "400", "no user"},
			{"GET http://[2001:db8::1]/ HTTP/1.1\r\nHost: site\r\n" + identified, "400", "name of a service"},
			{"GET http://../ HTTP/1.1\r\nHost: site\r\n" + identified, "400", "name of a service"},
			{"GET http:///etc HTTP/1.1\r\nHost: site\r\n" + identified, "400", "name of a service"},
			{"GET http://" + long + "/ HTTP/1.1\r\nHost: site\r\n" + identified, "400 431", ""},
			{"GET http://site/" + long + " HTTP/1.1\r\nHost: site\r\nX-A: " + long + "\r\n" + identified, "431", ""},
			{"GET http://localhost/api/v1/health HTTP/1.1\r\nHost: localhost\r\n" + identified, "404", "not available"},
			{"GET http://localhost/api/v1/health HTTP/1.1\r\nHost: localhost\r\n", "407", "say who you are"},
			{"GET http://site/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\n", "407", "say who you are"},
			{"POST http://site/ HTTP/1.1\r\nHost: site\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n" + identified, "400", ""},
			{"POST http://site/ HTTP/1.1\r\nHost: site\r\nContent-Length: 5\r\nContent-Length: 6\r\n" + identified, "400", ""},
			{"GET http://site/ HTTP/1.1\r\nHost: site\r\nHost: other\r\n" + identified, "400", ""},
			{"GET http://site/ HTTP/1.1\r\n" + identified, "400", ""},
		} {
			conn := o.dialProxy(t, listener)
			go io.WriteString(conn, test.sent+"\r\n0\r\n\r\nGET http://site/smuggled HTTP/1.1\r\nHost: site\r\n"+identified+"\r\n")
			answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Errorf("by %s, %.60q: %v", listener, test.sent, err)
				continue
			}
			text, _ := io.ReadAll(answer.Body)
			if !strings.Contains(test.statuses, fmt.Sprint(answer.StatusCode)) || !strings.Contains(string(text), test.says) {
				t.Errorf("by %s, %.60q: %s %s", listener, test.sent, answer.Status, text)
			}
			conn.Close()
		}
		conn := o.dialProxy(t, listener)
		ours := "GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n"
		page := "GET http://site/page HTTP/1.1\r\nHost: ignored\r\n" + identified + "\r\n"
		io.WriteString(conn, ours+page+ours+page)
		reader := bufio.NewReader(conn)
		for i, want := range []string{"", "GET /page at site", "", "GET /page at site"} {
			answer, err := http.ReadResponse(reader, nil)
			if err != nil {
				t.Fatalf("by %s, answer %d: %v", listener, i, err)
			}
			if text, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != 200 || want != "" && string(text) != want {
				t.Errorf("by %s, answer %d: %s %q, %v", listener, i, answer.Status, text, err)
			}
		}
	}
	o.expectRecords(t, 4, live.Equal("event", "close"))
}

// TestWebsiteEarly: what is left of a body when its answer is complete is no request, to whatever it may look like one.
func TestWebsiteEarly(t *testing.T) {
	t.Parallel()
	o := newWebsiteOffice(t)
	identified := "Proxy-Authorization: Bearer " + o.token(t, "mallory") + "\r\n"
	for _, listener := range []string{"plain", "web"} {
		for _, hidden := range []string{
			"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n",
			"GET /api/v1/health HTTP/1.1\nHost: localhost\nX: y\n folded\n\n",
			"CONNECT echo:1 HTTP/1.1\r\nHost: echo:1\r\n" + identified + "\r\n",
		} {
			conn := o.dialProxy(t, listener)
			io.WriteString(conn, "POST http://busy/early HTTP/1.1\r\nHost: busy\r\nContent-Length: 5000\r\n"+identified+"\r\n"+strings.Repeat("A", 100))
			reader := bufio.NewReader(conn)
			answer, err := http.ReadResponse(reader, nil)
			if err != nil {
				t.Fatalf("by %s: %v", listener, err)
			}
			if text, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != 413 || string(text) != "BIG\n" {
				t.Errorf("by %s: %s %q, %v", listener, answer.Status, text, err)
			}
			io.WriteString(conn, hidden)
			if rest, _ := io.ReadAll(reader); len(rest) > 0 {
				t.Errorf("by %s, %.40q is answered with %q", listener, hidden, rest)
			}
		}
	}
}

// TestWebsiteCut: what cuts a session cuts its answer within a second, and curl can tell that from a whole one.
func TestWebsiteCut(t *testing.T) {
	t.Parallel()
	curl := tool(t, "curl", "apt-get install curl")
	o := newWebsiteOffice(t)
	var took []time.Duration
	for _, listener := range []string{"plain", "web"} {
		for end, cut := range map[string]func(user, id string) []string{
			"token revoked": func(_, id string) []string { return []string{"token", "rm", id} },
			"user removed":  func(user, _ string) []string { return []string{"user", "rm", user} },
			"disconnect":    func(user, _ string) []string { return []string{"disconnect", o.sessionOf(t, user)} },
		} {
			user := strings.ReplaceAll(end, " ", "-") + "-" + listener
			grant := o.grant(t, user)
			cmd := exec.Command(curl, "-sSN", "-x", o.proxy(listener), "--proxy-cacert", filepath.Join(o.dir, "authority.pem"),
				"--proxy-user", ":"+grant.Secret, "http://busy/events")
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			watchdog := time.AfterFunc(live.Patience, func() { cmd.Process.Kill() })
			defer watchdog.Stop()
			if got, err := bufio.NewReader(out).ReadString('\n'); got != "data: begun\n" {
				t.Fatalf("by %s: %q, %v", listener, got, err)
			}
			o.cli(t, "", cut(user, grant.ID)...)
			done := time.Now()
			io.Copy(io.Discard, out)
			took = append(took, time.Since(done))
			expectPromptly(t, end+" by "+listener, time.Now(), done, revocationLimit)
			var exit *exec.ExitError
			if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 18 && exit.ExitCode() != 56 {
				t.Errorf("by %s, %s: curl takes the answer for whole, or was killed: %v", listener, end, err)
			}
			o.expectRecords(t, 1, live.Equal("event", "close"), live.Equal("user", user))
		}
	}
	expectMost(t, "the ends of answers", took, revocationLimit)
	o.expectRecords(t, 0, live.Equal("event", "close"), live.Equal("end", "finished"))
}

// sessionOf returns the id of a user's only session.
func (o *office) sessionOf(t *testing.T, user string) string {
	t.Helper()
	sessions, err := o.admin(t).Sessions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sessions {
		if s.User == user {
			return s.ID
		}
	}
	t.Fatalf("%s has no session: %+v", user, sessions)
	return ""
}

// TestWebsiteUpgrade: a service that switches to another protocol has the client for itself.
func TestWebsiteUpgrade(t *testing.T) {
	t.Parallel()
	o := newWebsiteOffice(t)
	secret := o.token(t, "ws")
	for _, listener := range []string{"plain", "web"} {
		conn := o.dialProxy(t, listener)
		fmt.Fprintf(conn, "GET http://site/echo HTTP/1.1\r\nHost: site\r\nProxy-Authorization: Bearer %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", secret)
		reader := bufio.NewReader(conn)
		answer, err := http.ReadResponse(reader, nil)
		if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("by %s: %v, %v", listener, answer, err)
		}
		sent := pattern(5, 1<<20)
		go func() {
			conn.Write(sent)
			conn.(interface{ CloseWrite() error }).CloseWrite()
		}()
		if got, err := io.ReadAll(reader); err != nil || string(got) != string(sent) {
			t.Errorf("by %s: %d bytes have come back, or others: %v", listener, len(got), err)
		}
	}
	o.expectRecords(t, 2, live.Equal("event", "close"), live.Equal("user", "ws"), live.Equal("end", "finished"))
}

// TestWebsiteH2: a browser speaks HTTP/2 to a proxy with TLS.
func TestWebsiteH2(t *testing.T) {
	t.Parallel()
	o := newWebsiteOffice(t)
	c := o.caller(t, "h2", o.token(t, "browser"))
	for host, want := range map[string]string{"site": "200 GET /page at site", "echo": "421 CONNECT", "missing": "404 not available"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.TrimSuffix(c.url, "/api/v1")+"/page", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		for _, credentials := range []string{"Bearer " + c.token, ""} {
			r.Header.Set("Proxy-Authorization", credentials)
			if credentials == "" {
				r.Header.Del("Proxy-Authorization")
				want = "407 say who you are"
			}
			answer, err := c.http.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			text, _ := io.ReadAll(answer.Body)
			answer.Body.Close()
			status, says, _ := strings.Cut(want, " ")
			if fmt.Sprint(answer.StatusCode) != status || !strings.Contains(string(text), says) {
				t.Errorf("%s is answered with %s %s, want %s", host, answer.Status, text, want)
			}
		}
	}
	c.expect(t, http.StatusOK, http.MethodGet, "/health", "") // by the same connection
	if len(c.conns) != 1 {
		t.Errorf("%d connections were made", len(c.conns))
	}
}

// TestWebsiteCheck: a website that no listener can be the proxy for is a mistake.
func TestWebsiteCheck(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "c.hcl"), []byte("data_dir = \"data\"\nlistener \"mux\" {\n  protocol = \"tcpmux\"\n  listen = \"127.0.0.1:0\"\n}\n"+
		"service \"site\" {\n  listeners = [\"mux\"]\n  address = \"127.0.0.1:80\"\n  web = true\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if said := run(t, dir, 2, "check", "c.hcl"); !strings.Contains(said, "Website without a proxy") {
		t.Errorf("the check says: %s", said)
	}
}
