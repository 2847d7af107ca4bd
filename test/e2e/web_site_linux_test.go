package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	domain "jackfield"
	"jackfield/internal/api"
	"jackfield/test/live"
)

const siteConfig = `
data_dir = "data"
admin {
  listen = "127.0.0.1:0"
}
listener "web" {
  protocol = "https"
  listen   = "127.0.0.1:0"
}
listener "plain" {
  protocol = "http"
  listen   = "127.0.0.1:0"
}
listener "mux" {
  protocol = "tcpmux"
  listen   = "127.0.0.1:0"
}
service "echo" {
  listeners = ["mux"]
  builtin   = "echo"
}
`

// Where hostile clients come from; all others are 127.0.0.1.
const hostile = "127.0.0.2"

// A site is an office with hostile clients.
type site struct{ *office }

func startSite(t *testing.T, config string, environment ...string) *site {
	t.Helper()
	return &site{newOffice(t, config, environment...)}
}

// serveSite serves what is in a directory.
func serveSite(t *testing.T, dir string) *site {
	t.Helper()
	s, err := live.Serve(dir, "jackfield.hcl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
	})
	return &site{enter(t, s, dir)}
}

// grant makes a token, and a user without a password where there is none of the name.
func (s *site) grant(t *testing.T, n api.NewToken) api.Grant {
	t.Helper()
	admin := s.admin(t)
	if _, _, err := admin.User(t.Context(), n.User); err != nil {
		s.addUser(t, api.NewUser{Name: n.User})
	}
	var grant api.Grant
	stored(t, func() (err error) { grant, err = admin.AddToken(t.Context(), n); return err })
	return grant
}

// addUser adds a user, who is not there yet.
func (s *site) addUser(t *testing.T, n api.NewUser) {
	t.Helper()
	tried := false
	stored(t, func() error {
		_, err := s.admin(t).AddUser(t.Context(), n)
		if tried && err != nil && strings.Contains(err.Error(), "there already") {
			return nil
		}
		tried = true
		return err
	})
}

// stored changes what the store has, which may be away for a moment on a machine that is busy.
func stored(t *testing.T, change func() error) {
	t.Helper()
	var err error
	if eventually(func() bool { err = change(); return !isKind(err, domain.Unavailable) }); err != nil {
		t.Fatal(err)
	}
}

// bearer is a client of the API with a token.
func (s *site) bearer(t *testing.T, secret string) *api.Client {
	t.Helper()
	c, err := api.NewClient(api.ClientOptions{URL: "https://" + s.Addresses["web"], Roots: s.roots, Token: secret})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// dial connects to a listener from an address of the loopback network.
func (s *site) dial(t *testing.T, from, listener string) *net.TCPConn {
	t.Helper()
	conn, err := dialFrom(t.Context(), from, s.Addresses[listener])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func dialFrom(ctx context.Context, from, to string) (*net.TCPConn, error) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := dialer.DialContext(ctx, "tcp", to)
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), conn.SetDeadline(time.Now().Add(live.Patience))
}

// dialTLS sets up TLS with listener "web", from a hostile address.
func (s *site) dialTLS(t *testing.T, protocol string) *tls.Conn {
	t.Helper()
	conn := tls.Client(s.dial(t, hostile, "web"), &tls.Config{
		RootCAs: s.roots, ServerName: "127.0.0.1", NextProtos: []string{protocol},
	})
	if err := conn.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	return conn
}

// client is an HTTP client from an address.
func (s *site) client(t *testing.T, from string) *http.Client {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, to string) (net.Conn, error) {
			conn, err := dialFrom(ctx, from, to)
			if err != nil {
				return nil, err
			}
			return conn, conn.SetDeadline(time.Time{})
		},
		TLSClientConfig: &tls.Config{RootCAs: s.roots},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: live.Patience}
}

// url is where the API is on a listener.
func (s *site) url(listener, path string) string {
	scheme := map[string]string{"web": "https", "plain": "http"}[listener]
	return scheme + "://" + s.Addresses[listener] + api.Base + path
}

// A reply is an answer that was read.
type reply struct {
	status  int
	header  http.Header
	problem api.Problem // of a refusal
}

// callAPI sends a request with a body of JSON, if there is one.
func callAPI(t *testing.T, c *http.Client, method, url, body string, fields ...string) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	answer, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return readReply(t, answer)
}

func readReply(t *testing.T, answer *http.Response) reply {
	t.Helper()
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := reply{status: answer.StatusCode, header: answer.Header}
	if answer.Header.Get("Content-Type") == "application/problem+json" {
		if err := json.Unmarshal(text, &got.problem); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
	}
	return got
}

// readAnswer reads one answer from a connection.
func readAnswer(t *testing.T, conn io.Reader) reply {
	t.Helper()
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	return readReply(t, answer)
}

// metric is a sample of the metrics: the sum of all whose line begins so.
func (s *site) metric(t *testing.T, begin string) float64 {
	t.Helper()
	once := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: live.Patience}
	answer, err := once.Get("http://" + s.Addresses["admin"] + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, begin) {
			continue
		}
		value, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:len(line)-1], 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		sum += value
	}
	return sum
}

// refusals is how often a listener has refused something for a reason.
func (s *site) refusals(t *testing.T, listener, reason string) float64 {
	t.Helper()
	return s.metric(t, fmt.Sprintf("jackfield_http_refused_total{listener=%q,reason=%q} ", listener, reason))
}

// peak is the most memory that the server has had, in bytes.
func (s *site) peak(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.PID()))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	kilobytes, err := strconv.Atoi(strings.Fields(after)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kilobytes << 10
}

// told wants one line in the log, and one in the audit, with the id of a refusal.
func (s *site) told(t *testing.T, p api.Problem) {
	t.Helper()
	if p.ID == "" {
		t.Fatalf("a refusal without an id: %+v", p)
	}
	id := live.Equal("id", p.ID)
	if !eventually(func() bool { return len(auditLines(t, s.dir, id)) > 0 && len(live.Select(s.Output(), id)) > 0 }) ||
		len(auditLines(t, s.dir, id)) != 1 || len(live.Select(s.Output(), id)) != 1 {
		t.Errorf("%s: the audit says %v, and the log %v", p.Detail, auditLines(t, s.dir, id), live.Select(s.Output(), id))
	}
}

// A bystander has a session and uses the API, which nothing that others do may disturb.
type bystander struct {
	kept, fresh *api.Client // one connection for all calls; a connection for each
	secret      string
	session     *client
}

func (s *site) bystander(t *testing.T) *bystander {
	t.Helper()
	secret := s.grant(t, api.NewToken{User: "bystander"}).Secret
	b := &bystander{kept: s.bearer(t, secret), fresh: s.bearer(t, secret), secret: secret, session: open(t, s.Server, "mux")}
	say(t, b.session, "echo\r\n")
	expect(t, b.session, "+\r\n")
	b.goesOn(t)
	return b
}

// goesOn wants that all works.
func (b *bystander) goesOn(t *testing.T) {
	t.Helper()
	if err := b.try(t.Context(), b.kept, b.fresh); err != nil {
		t.Errorf("a bystander is disturbed: %v", err)
	}
}

func (b *bystander) try(ctx context.Context, clients ...*api.Client) error {
	b.session.SetDeadline(time.Now().Add(live.Patience))
	if _, err := io.WriteString(b.session, "hello"); err != nil {
		return err
	}
	if err := b.session.read("hello"); err != nil {
		return err
	}
	for _, c := range clients {
		if me, err := c.Me(ctx); err != nil || me.User != "bystander" {
			return fmt.Errorf("known as %q: %w", me.User, err)
		}
	}
	b.fresh.Close()
	return nil
}

// during has the bystander go on while something happens, and once afterwards.
func (b *bystander) during(t *testing.T, happens func()) {
	t.Helper()
	over, rounds := make(chan struct{}), make(chan error, 1)
	go func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			if err := b.try(context.WithoutCancel(t.Context()), b.kept, b.fresh); err != nil {
				rounds <- err
				return
			}
			select {
			case <-over:
				rounds <- nil
				return
			case <-tick.C:
			}
		}
	}()
	defer func() {
		close(over)
		if err := <-rounds; err != nil {
			t.Errorf("a bystander is disturbed: %v", err)
		}
	}()
	happens()
}

// run runs the program, which must exit with a status, and returns what it wrote.
func run(t *testing.T, dir string, status int, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "jackfield", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != status {
		t.Errorf("jackfield %s ended with %v, not %d:\n%s", strings.Join(args, " "), err, status, out)
	}
	return string(out)
}
