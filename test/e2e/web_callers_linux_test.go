package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"jackfield/internal/api"
	"jackfield/test/live"
)

// TestWebPlain: without TLS the API is for this machine, and not for pages of other sites that a browser on it shows.
func TestWebPlain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	begun, end, _ := strings.Cut(siteConfig, "\"http\"\n  listen   = \"127.0.0.1:")
	writeFile(t, filepath.Join(dir, "open.hcl"), begun+"\"http\"\n  listen   = \"0.0.0.0:"+end)
	if said := run(t, dir, 2, "check", "open.hcl"); !strings.Contains(said, "insecure") || !strings.Contains(said, "loopback") {
		t.Errorf("the check says: %s", said)
	}
	if said := run(t, dir, 2, "serve", "--config", "open.hcl"); !strings.Contains(said, "insecure") {
		t.Errorf("the server says: %s", said)
	}

	s, started := startSite(t, siteConfig), time.Now()
	secret := s.token(t, "ada")
	bearer := []string{"Authorization", "Bearer " + secret}
	c := s.client(t, "127.0.0.1")
	if got := callAPI(t, c, http.MethodGet, s.url("plain", "/me"), "", bearer...); got.status != http.StatusOK {
		t.Errorf("answered with %d %+v", got.status, got.problem)
	}
	port := portOf(s.Addresses["plain"])
	for _, host := range []string{"rebound.example", "rebound.example:" + port, "0.0.0.0", "[::1]", "192.168.0.1"} {
		conn := s.dial(t, "127.0.0.1", "plain")
		fmt.Fprintf(conn, "GET /api/v1/me HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", host, secret)
		if got := readAnswer(t, conn); got.status != http.StatusMisdirectedRequest || got.problem.ID == "" {
			t.Errorf("as %s it answers with %d %+v", host, got.status, got.problem)
		}
	}
	for _, header := range []string{"Origin", "Sec-Fetch-Site"} {
		value := map[string]string{"Origin": "http://rebound.example", "Sec-Fetch-Site": "cross-site"}[header]
		for method, path := range map[string]string{
			http.MethodPost: "/tokens", http.MethodDelete: "/tokens/x", http.MethodPut: "/users/ada/password",
			http.MethodPatch: "/users/ada",
		} {
			got := callAPI(t, c, method, s.url("plain", path), `{}`, append(bearer, header, value)...)
			if got.status != http.StatusForbidden || !strings.Contains(got.problem.Detail, "another site") {
				t.Errorf("%s with %s %s: %d %+v", method, header, value, got.status, got.problem)
			}
		}
	}
	for reason, want := range map[string]float64{"target": 5, "origin": 8} { // hosts, and requests of other sites
		counted := func() float64 { return s.refusals(t, "plain", reason) }
		if !eventually(func() bool { return counted() >= want }) || counted() > want {
			t.Errorf("%v refusals for the reason %q are counted", counted(), reason)
		}
	}
	s.checkRefusals(t, started, "target", "origin")
	if tokens, err := s.admin(t).Tokens(t.Context(), "ada"); err != nil || len(tokens) != 1 {
		t.Errorf("ada has %d tokens (%v)", len(tokens), err)
	}
}

func portOf(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }

// TestWebTokens: whatever is wrong with a token, the answer is the same; what it was is in the audit.
func TestWebTokens(t *testing.T) {
	t.Parallel()
	s, other := startSite(t, siteConfig), startSite(t, siteConfig)
	b := s.bystander(t)
	good := s.token(t, "ada")
	expired := s.grant(t, api.NewToken{User: "ada", Lifetime: api.Duration(time.Second)})
	revoked := s.grant(t, api.NewToken{User: "ada"})
	if err := s.admin(t).RemoveToken(t.Context(), revoked.ID); err != nil {
		t.Fatal(err)
	}
	ofNobody := s.token(t, "bob")
	if err := s.admin(t).RemoveUser(t.Context(), "bob", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.admin(t).AddUser(t.Context(), api.NewUser{Name: "bob"}); err != nil { // who is somebody else
		t.Fatal(err)
	}
	oneTime := s.grant(t, api.NewToken{User: "ada", OneTime: true}).Secret
	wrong := []byte(good)
	wrong[20] ^= 1
	if !eventually(func() bool { return time.Now().After(expired.Expires) }) {
		t.Fatal("the token does not expire")
	}

	c := s.client(t, hostile)
	var first reply
	for i, test := range []struct{ name, secret, audit string }{
		{"expired", expired.Secret, "expired"},
		{"revoked", revoked.Secret, "revoked"},
		{"of a user who was removed", ofNobody, ""},
		{"cut off", good[:len(good)-1], "cut off"},
		{"half", good[:len(good)/2], "cut off"},
		{"too long", good + "a", "follows"},
		{"mistyped", string(wrong), "wrong"},
		{"of another server", other.token(t, "ada"), "not known"},
		{"one-time token", oneTime, "one-time"},
		{"none of ours", "eyJhbGciOiJub25lIn0.e30.", "no token of Jackfield"},
		{"32 KB", "jft_" + strings.Repeat("a", 32<<10), "follows"},
		{"empty", "", "no token of Jackfield"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got reply
			b.during(t, func() {
				got = callAPI(t, c, http.MethodGet, s.url("web", "/me"), "", "Authorization", "Bearer "+test.secret)
			})
			const want = `Bearer realm="jackfield", error="invalid_token"`
			if challenge := got.header.Get("WWW-Authenticate"); got.status != http.StatusUnauthorized || challenge != want {
				t.Errorf("answered with %d, %q", got.status, challenge)
			}
			s.told(t, got.problem)
			lines := auditLines(t, s.dir, live.Equal("id", got.problem.ID))
			if details, _ := lines[0]["details"].(string); !strings.Contains(details, test.audit) {
				t.Errorf("the audit says %q", details)
			}
			got.problem.ID = ""
			if i == 0 {
				first = got
			}
			if got.problem != first.problem {
				t.Errorf("the answer is %+v, and was %+v", got.problem, first.problem)
			}
		})
	}
	for name, fields := range map[string]string{
		"none":     "",
		"password": "Authorization: Basic YWRhOnB3\r\n",
		"two":      "Authorization: Bearer " + good + "\r\nAuthorization: Bearer " + good + "\r\n",
		"only it":  "Authorization: " + good + "\r\n",
	} {
		conn := s.dialTLS(t, "http/1.1")
		io.WriteString(conn, "GET /api/v1/me HTTP/1.1\r\nHost: localhost\r\n"+fields+"\r\n")
		got := readAnswer(t, conn)
		const want = `Bearer realm="jackfield"`
		if challenge := got.header.Get("WWW-Authenticate"); got.status != http.StatusUnauthorized || challenge != want {
			t.Errorf("%s: answered with %d, %q", name, got.status, challenge)
		}
		s.told(t, got.problem)
	}
	conn := s.dialTLS(t, "http/1.1")
	long := strings.Repeat("a", 70<<10)
	io.WriteString(conn, "GET /api/v1/me HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "+long+"\r\n\r\n")
	if got := readAnswer(t, conn); got.status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("70 KB are answered with %d", got.status)
	}
	b.goesOn(t)
	for name, secret := range map[string]string{
		"good": good, "expired": expired.Secret, "revoked": revoked.Secret, "one-time": oneTime,
	} {
		if strings.Contains(s.Output(), secret) {
			t.Errorf("the %s token stands in the log", name)
		}
	}
	if me, err := s.bearer(t, good).Me(t.Context()); err != nil || me.User != "ada" {
		t.Errorf("the good token: %+v, %v", me, err)
	}
	if _, err := s.bearer(t, "").Login(t.Context(), api.Login{Token: oneTime}); err != nil {
		t.Errorf("the one-time token was used up: %v", err)
	}
}

// TestWebPasswords: who guesses passwords is slowed down alone. Whoever else comes, from elsewhere, is served, the one whose
// password is guessed too.
func TestWebPasswords(t *testing.T) {
	t.Parallel()
	s := startSite(t, siteConfig)
	b := s.bystander(t)
	const password = "correct horse battery staple"
	for _, name := range []string{"ada", "bob"} {
		if _, err := s.admin(t).AddUser(t.Context(), api.NewUser{Name: name, Password: password}); err != nil {
			t.Fatal(err)
		}
	}
	login := s.bearer(t, "")
	b.during(t, func() {
		guessing := make(chan struct{})
		var others sync.WaitGroup
		others.Go(func() {
			tick := time.NewTicker(250 * time.Millisecond)
			defer tick.Stop()
			for over := false; !over; {
				select {
				case <-guessing:
					over = true // after one more round
				case <-tick.C:
				}
				for _, name := range []string{"ada", "bob"} {
					grant, err := login.Login(t.Context(), api.Login{User: name, Password: password})
					if err != nil || grant.User != name {
						t.Errorf("%s logs in meanwhile: %v", name, err)
						over = true
					}
				}
			}
		})
		s.guess(t, live.Times(1000, 10000))
		close(guessing)
		others.Wait()
	})
	b.goesOn(t)
	if err := s.WaitFor(func(output string) bool { return strings.Contains(output, "too many wrong passwords") }); err != nil {
		t.Error(err)
	}
	if grant, err := login.Login(t.Context(), api.Login{User: "ada", Password: password}); err != nil || grant.User != "ada" {
		t.Errorf("who was guessed at, afterwards: %v", err)
	}
}

// guess tries passwords of several users, present or not, many in a row without waiting for the answers.
func (s *site) guess(t *testing.T, times int) {
	t.Helper()
	const inRow = 100
	conn := s.dial(t, hostile, "plain")
	answers := bufio.NewReader(conn)
	counts := make(map[int]int)
	for range times / inRow {
		conn.SetDeadline(time.Now().Add(live.Patience))
		var row strings.Builder
		for i := range inRow {
			body := fmt.Sprintf(`{"user":%q,"password":"guess %d"}`, []string{"ada", "bob", "nobody", "a b", "admin"}[i%5], i)
			fmt.Fprintf(&row, "POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\n"+
				"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		}
		io.WriteString(conn, row.String())
		for range inRow {
			answer, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
			counts[answer.StatusCode]++
			switch wait, err := strconv.Atoi(answer.Header.Get("Retry-After")); {
			case answer.StatusCode == http.StatusUnauthorized && answer.Header.Get("WWW-Authenticate") != "":
			case answer.StatusCode == http.StatusTooManyRequests && err == nil && wait > 0:
			default:
				t.Fatalf("an attempt is answered with %d %v", answer.StatusCode, answer.Header)
			}
		}
	}
	if counts[http.StatusUnauthorized] < 5 || counts[http.StatusTooManyRequests] < times/2 {
		t.Errorf("the answers are %v", counts)
	}
}
