package e2e

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"jackfield/internal/api"
	"jackfield/internal/tlsstream"
	"jackfield/test/live"
)

// tunnelConfig is a server with services that are reached by CONNECT.
const tunnelConfig = `
cut_on_reload = true
data_dir = "data"
listener "web" {
  protocol            = "https"
  listen              = "127.0.0.1:0"
  client_certificates = "optional"
}
listener "plain" {
  protocol = "http"
  listen   = "127.0.0.1:0"
}
service "echo" {
  listeners = ["web", "plain"]
  address   = env("echo")
}
service "reply" {
  listeners = ["web", "plain"]
  address   = env("reply")
}
`

func newTunnelOffice(t *testing.T) *office {
	t.Helper()
	address, stop, err := startBackend(backends["reply"])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	o := newOffice(t, tunnelConfig, "reply="+address)
	authority := o.cli(t, "", "certificate", "authority")
	if err := os.WriteFile(filepath.Join(o.dir, "authority.pem"), []byte(authority+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return o
}

// proxy is the listener as tools know it.
func (o *office) proxy(listener string) string {
	if listener == "web" {
		_, port, _ := net.SplitHostPort(o.Addresses["web"])
		return "https://localhost:" + port
	}
	return "http://" + o.Addresses[listener]
}

// A tool is a client that nobody here wrote.
func tool(t *testing.T, name, mend string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		live.Missing(t, name, mend)
	}
	return path
}

// runTool runs a command with an input and returns its output.
func runTool(t *testing.T, input io.Reader, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*live.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var said, complained bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = input, &said, &complained
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, &complained)
	}
	return said.String()
}

// TestCurlThroughProxy: curl reaches a service by name, and what it shows of a refusal says what to do.
func TestCurlThroughProxy(t *testing.T) {
	t.Parallel()
	curl := tool(t, "curl", "apt-get install curl")
	site := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "the site") })}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go site.Serve(ln)
	t.Cleanup(func() { site.Close() })
	o := newOffice(t, tunnelConfig+"service \"site\" {\n  listeners = [\"web\", \"plain\"]\n  address = \""+ln.Addr().String()+"\"\n}\n",
		"reply=127.0.0.1:9")
	os.WriteFile(filepath.Join(o.dir, "authority.pem"), []byte(o.cli(t, "", "certificate", "authority")+"\n"), 0o600)
	token := o.token(t, "curly")
	for _, listener := range []string{"plain", "web"} {
		common := []string{"-sS", "--max-time", "120", "-p", "-x", o.proxy(listener), "--proxy-cacert", filepath.Join(o.dir, "authority.pem")}
		for _, credentials := range [][]string{
			{"--proxy-user", "curly:" + token}, {"--proxy-user", ":" + token},
			{"--proxy-header", "Proxy-Authorization: Bearer " + token},
		} {
			args := append(append(common, credentials...), "http://site/")
			if got := runTool(t, nil, curl, args...); got != "the site" {
				t.Errorf("by %s with %s: %q", listener, credentials[0], got)
			}
		}
		for name, status := range map[string]string{"site": "407", "missing": "407"} {
			out, _ := exec.Command(curl, append(common, "-v", "http://"+name+"/")...).CombinedOutput()
			for _, want := range []string{"response " + status, "Proxy-Authenticate: Bearer", "say who you are"} {
				if !strings.Contains(string(out), want) {
					t.Errorf("by %s, %s: curl does not show %q:\n%s", listener, name, want, out)
				}
			}
		}
		out, _ := exec.Command(curl, append(common, "-v", "--proxy-user", ":"+token, "http://missing/")...).CombinedOutput()
		if !strings.Contains(string(out), "response 404") || !strings.Contains(string(out), "service not available [") {
			t.Errorf("by %s: curl does not show the refusal:\n%s", listener, out)
		}
	}
	o.expectRecords(t, 6, live.Equal("event", "close"), live.Equal("user", "curly"), live.Equal("service", "site"),
		live.Equal("proof", "token"), live.Equal("end", "finished"))
}

// A tunnel is a session that a test has opened by CONNECT.
type tunnel struct {
	user, listener, protocol string
	in                       io.WriteCloser
	out                      io.ReadCloser
}

// ended reads to the end, which must be none in order, and returns when that was.
func (u *tunnel) ended(t *testing.T) time.Time {
	t.Helper()
	rest, err := io.ReadAll(u.out)
	at := time.Now()
	if err == nil {
		t.Errorf("%s over %s: %q and an end in order", u.user, u.protocol, rest)
	}
	return at
}

func (u *tunnel) works(t *testing.T) {
	t.Helper()
	io.WriteString(u.in, "hello")
	answer := make([]byte, 5)
	if _, err := io.ReadFull(u.out, answer); err != nil || string(answer) != "hello" {
		t.Fatalf("%s over %s: %q, %v", u.user, u.protocol, answer, err)
	}
}

// tunnels opens one over each protocol.
func (o *office) tunnels(t *testing.T, user string, callers []*caller) (list []*tunnel) {
	t.Helper()
	for _, c := range callers {
		u := &tunnel{user: user, listener: "web", protocol: c.protocol}
		if c.protocol == "h2" {
			u.in, u.out = c.connectH2(t, "echo:1")
		} else {
			u.in, u.out = c.connectH1(t, "echo:1")
		}
		u.works(t)
		list = append(list, u)
	}
	return list
}

// connectH2 opens a stream on the caller's connection.
func (c *caller) connectH2(t *testing.T, target string) (io.WriteCloser, io.ReadCloser) {
	t.Helper()
	host, err := url.Parse(c.url)
	if err != nil {
		t.Fatal(err)
	}
	body, up := io.Pipe()
	r := &http.Request{
		Method: http.MethodConnect, URL: &url.URL{Scheme: "https", Host: host.Host}, Host: target, Header: http.Header{},
		Body: body, ContentLength: -1,
	}
	if c.token != "" {
		r.Header.Set("Proxy-Authorization", "Bearer "+c.token)
	}
	answer, err := c.http.Do(r.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { up.Close(); answer.Body.Close() })
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("CONNECT was answered with %s", answer.Status)
	}
	return up, answer.Body
}

// connectH1 opens a connection of its own.
func (c *caller) connectH1(t *testing.T, target string) (io.WriteCloser, io.ReadCloser) {
	t.Helper()
	conn, err := c.http.Transport.(*http.Transport).DialContext(t.Context(), "tcp", "")
	if err != nil {
		t.Fatal(err)
	}
	return connectOver(t, c, conn, target)
}

// TestConnectRevocation: who is revoked or removed has no stream any more, within a second, and the audit says why.
func TestConnectRevocation(t *testing.T) {
	t.Parallel()
	o := newTunnelOffice(t)
	var took []time.Duration
	bystander := o.tunnels(t, "bystander", []*caller{o.caller(t, "h2", o.token(t, "bystander"))})[0]
	for _, test := range []struct {
		user   string
		revoke func(id string) []string
		byCert bool
		end    string
	}{
		{"tess", func(id string) []string { return []string{"token", "rm", id} }, false, "token revoked"},
		{"rita", func(string) []string { return []string{"user", "rm", "rita"} }, false, "user removed"},
		{"dora", func(string) []string { return []string{"user", "change", "dora", "--disabled"} }, false, "user disabled"},
		{"cora", func(id string) []string { return []string{"certificate", "revoke", id} }, true, "certificate revoked"},
	} {
		callers, id := o.callersOf(t, test.user, test.byCert)
		tunnels := o.tunnels(t, test.user, callers)
		o.cli(t, "", test.revoke(id)...)
		done := time.Now()
		for _, u := range tunnels {
			at := u.ended(t)
			took = append(took, at.Sub(done))
			expectPromptly(t, test.end+" over "+u.protocol, at, done, revocationLimit)
		}
		o.expectRecords(t, len(tunnels), live.Equal("event", "close"), live.Equal("user", test.user), live.Equal("end", test.end))
	}
	bystander.works(t)
	expectMost(t, "the ends of streams", took, revocationLimit)

	o.token(t, "expires") // makes the user
	short, err := o.admin(t).AddToken(t.Context(), api.NewToken{User: "expires", Lifetime: api.Duration(15 * time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	secret := short.Secret
	u := o.tunnels(t, "expires", []*caller{o.caller(t, "http/1.1", secret)})[0]
	u.ended(t)
	o.expectRecords(t, 1, live.Equal("event", "close"), live.Equal("user", "expires"), live.Equal("end", "token expired"))
}

// TestConnectCutOnReload: a rule by user or group that changes cuts the sessions that it forbids, and no other.
func TestConnectCutOnReload(t *testing.T) {
	t.Parallel()
	for name, rule := range map[string]string{"user": `users = ["gone"]`, "group": `groups = ["interns"]`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newTunnelOffice(t)
			o.cli(t, "", "user", "add", "gone", "--no-password", "--group", "interns")
			cut, _ := o.callersOf(t, "gone", false)
			kept, _ := o.callersOf(t, "stays", false)
			going, staying := o.tunnels(t, "gone", cut), o.tunnels(t, "stays", kept)
			out, status := reload(t, o.dir, tunnelConfig+"rule \"deny\" {\n  "+rule+"\n}\nrule \"allow\" {}\n")
			done := time.Now()
			if status != 0 || !strings.Contains(out, "2 sessions") {
				t.Errorf("reload: exit status %d: %s", status, out)
			}
			for _, u := range going {
				expectPromptly(t, "the session over "+u.protocol+" is cut", u.ended(t), done, revocationLimit)
			}
			for _, u := range staying {
				u.works(t)
			}
			o.expectRecords(t, 2, live.Equal("event", "close"), live.Equal("user", "gone"),
				live.Match("end", regexp.MustCompile("forbid")))
		})
	}
}

// connectOver sends CONNECT on a connection, over which TLS is set up first.
func connectOver(t *testing.T, c *caller, raw net.Conn, target string) (io.WriteCloser, io.ReadCloser) {
	t.Helper()
	config := c.http.Transport.(*http.Transport).TLSClientConfig.Clone()
	config.ServerName = "localhost"
	conn := tlsstream.Of(tlsstream.Client(raw.(*net.TCPConn), config))
	t.Cleanup(func() { conn.Close() })
	conn.SetReadDeadline(time.Now().Add(live.Patience))
	header := ""
	if c.token != "" {
		header = "Proxy-Authorization: Bearer " + c.token + "\r\n"
	}
	io.WriteString(conn, "CONNECT "+target+" HTTP/1.1\r\nHost: "+target+"\r\n"+header+"\r\n")
	answer := make([]byte, len("HTTP/1.1 200 Connection established\r\n\r\n"))
	if n, err := io.ReadFull(conn, answer); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200 ") {
		t.Fatalf("CONNECT was answered with %q, %v", answer[:n], err)
	}
	return conn, conn
}
