package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"jackfield/internal/api"
	"jackfield/internal/identity"
	"jackfield/test/live"
)

// officeConfig is a server with every kind of listener that has an API, sessions or devices.
const officeConfig = `
data_dir = "data"
log {
  level = "debug"
}
admin {
  listen = "127.0.0.1:0"
}
listener "web" {
  protocol            = "https"
  listen              = "127.0.0.1:0"
  client_certificates = "optional"
}
listener "mux" {
  protocol = "tcpmux"
  listen   = "127.0.0.1:0"
}
listener "port" {
  protocol = "tcp"
  listen   = "127.0.0.1:0"
  service  = "echo"
}
listener "field" {
  protocol = "mihini"
  listen   = "127.0.0.1:0"
}
device "meter" {
  listeners = ["field"]
}
service "echo" {
  listeners = ["mux"]
  address   = env("echo")
}
service "metered" {
  listeners = ["mux"]
  device    = "meter"
  address   = "127.0.0.1:23"
}
`

// An office is a server and the directory in which the command line administers it.
type office struct {
	*live.Server
	dir   string
	roots *x509.CertPool // of the server's authority
}

func newOffice(t *testing.T, config string, environment ...string) *office {
	t.Helper()
	s, dir := serveEcho(t, config, environment...)
	return enter(t, s, dir)
}

// enter makes an office of a server that runs.
func enter(t *testing.T, s *live.Server, dir string) *office {
	t.Helper()
	o := &office{Server: s, dir: dir, roots: x509.NewCertPool()}
	o.roots.AppendCertsFromPEM([]byte(o.cli(t, "", "certificate", "authority")))
	return o
}

// cli runs a command, which must succeed, and returns what it prints without the line end.
func (o *office) cli(t *testing.T, input string, args ...string) string {
	t.Helper()
	cmd := exec.Command("jackfield", append(args, "--socket", "data/admin.sock")...)
	cmd.Dir = o.dir
	cmd.Stdin = strings.NewReader(input)
	var said, complained bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &complained
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, &complained)
	}
	return strings.TrimSuffix(said.String(), "\n")
}

// grant makes a token, and a user without a password where there is none of the name.
func (o *office) grant(t *testing.T, user string, scopes ...identity.Scope) api.Grant {
	t.Helper()
	client := o.admin(t)
	if _, _, err := client.User(t.Context(), user); err != nil {
		if _, err := client.AddUser(t.Context(), api.NewUser{Name: user}); err != nil {
			t.Fatal(err)
		}
	}
	grant, err := client.AddToken(t.Context(), api.NewToken{User: user, Scopes: scopes})
	if err != nil {
		t.Fatal(err)
	}
	return grant
}

// token makes a token as grant does.
func (o *office) token(t *testing.T, user string, scopes ...identity.Scope) (secret string) {
	t.Helper()
	return o.grant(t, user, scopes...).Secret
}

// certificate has a certificate made; the kind is "user" or "device". Its files are in a directory of that name.
func (o *office) certificate(t *testing.T, kind, name, directory string) (pair tls.Certificate, serial string) {
	t.Helper()
	said := o.cli(t, "", "certificate", "issue", "--"+kind, name, "--out", directory)
	pair, err := tls.LoadX509KeyPair(filepath.Join(o.dir, directory, "certificate.pem"), filepath.Join(o.dir, directory, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return pair, strings.Fields(said)[1]
}

// admin asks the server by its Unix socket.
func (o *office) admin(t *testing.T) *api.Client {
	t.Helper()
	client, err := api.NewClient(api.ClientOptions{Socket: filepath.Join(o.dir, "data/admin.sock")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// records returns the lines of the audit in the store that pass the tests, the oldest first.
func (o *office) records(t *testing.T, tests ...live.Test) []live.Line {
	t.Helper()
	client, cursor, lines := o.admin(t), "", ""
	for {
		part, err := client.Records(t.Context(), api.RecordFilter{}, cursor, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, record := range part.Records {
			text, err := record.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			lines = string(text) + "\n" + lines
		}
		if cursor = part.Next; cursor == "" {
			return live.Select(lines, tests...)
		}
	}
}

// expectRecords waits until so many lines pass the tests, in the audit's file and in the store. More are wrong at once.
func (o *office) expectRecords(t *testing.T, n int, tests ...live.Test) {
	t.Helper()
	for place, read := range map[string]func() []live.Line{
		"file":  func() []live.Line { return auditLines(t, o.dir, tests...) },
		"store": func() []live.Line { return o.records(t, tests...) },
	} {
		if !eventually(func() bool { return len(read()) >= n }) || len(read()) > n {
			all, _ := os.ReadFile(filepath.Join(o.dir, "data/audit.jsonl"))
			t.Errorf("the audit in the %s has %d such lines, not %d:\n%s", place, len(read()), n, all)
		}
	}
}

// The protocols of a caller.
var webProtocols = []string{"h2", "http/1.1"}

// A caller is somebody who asks the API over HTTPS.
type caller struct {
	token    string // empty: none
	protocol string
	url      string // of the API
	http     http.Client

	mu    sync.Mutex
	conns []net.Conn // guarded by mu: all that were ever open
}

// caller returns one who speaks the protocol, with a token or a certificate, or neither.
func (o *office) caller(t *testing.T, protocol, token string, certificates ...tls.Certificate) *caller {
	t.Helper()
	address := o.Addresses["web"]
	_, port, _ := net.SplitHostPort(address)
	c := &caller{token: token, protocol: protocol, url: "https://localhost:" + port + "/api/v1"}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: o.roots, Certificates: certificates},
		Protocols:       new(http.Protocols),
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var dialer net.Dialer
			conn, err := dialer.DialContext(ctx, network, address)
			if err == nil {
				c.mu.Lock()
				defer c.mu.Unlock()
				c.conns = append(c.conns, conn)
			}
			return conn, err
		},
	}
	transport.Protocols.SetHTTP1(protocol == "http/1.1")
	transport.Protocols.SetHTTP2(protocol == "h2")
	c.http.Transport = transport
	t.Cleanup(c.sever)
	return c
}

// sever breaks all connections as a network does that goes away.
func (c *caller) sever() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		conn.Close()
	}
	c.conns = nil
}

func (c *caller) request(ctx context.Context, method, path, body string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.url+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return c.http.Do(r)
}

// ask returns the answer's status and body.
func (c *caller) ask(t *testing.T, method, path, body string) (status int, answer string) {
	t.Helper()
	response, err := c.request(t.Context(), method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// expect wants an answer of that status.
func (c *caller) expect(t *testing.T, status int, method, path, body string) (answer string) {
	t.Helper()
	got, answer := c.ask(t, method, path, body)
	if got != status {
		t.Errorf("%s %s: %d, not %d: %s", method, path, got, status, answer)
	}
	return answer
}

// login returns the token that a login gives.
func (c *caller) login(t *testing.T, body string) (secret string) {
	t.Helper()
	var grant api.Grant
	if err := json.Unmarshal([]byte(c.expect(t, http.StatusCreated, http.MethodPost, "/login", body)), &grant); err != nil {
		t.Fatal(err)
	}
	return grant.Secret
}

// isRefused says whether the caller is nobody to the server: a call is answered with 401, or with a certificate that is void
// no connection is made.
func (c *caller) isRefused(t *testing.T) bool {
	t.Helper()
	response, err := c.request(t.Context(), http.MethodGet, "/me", "")
	if err != nil {
		return c.token == ""
	}
	defer response.Body.Close()
	io.Copy(io.Discard, response.Body)
	return response.StatusCode == http.StatusUnauthorized
}

// expectSoon wants a time to be at most the limit after another one.
func expectSoon(t *testing.T, what string, at, since time.Time, limit time.Duration) {
	t.Helper()
	if late := at.Sub(since); late > limit {
		t.Errorf("%s: after %v, not within %v", what, late, limit)
	}
}

// expectPromptly is expectSoon for what takes next to nothing, when nobody else needs the machine at that moment.
func expectPromptly(t *testing.T, what string, at, since time.Time, limit time.Duration) {
	t.Helper()
	expectSoon(t, what, at, since, limit+live.Lateness())
}

// expectMost wants most of what happened to have taken no longer than the limit. It may have been others who were late now and then.
func expectMost(t *testing.T, what string, took []time.Duration, limit time.Duration) {
	t.Helper()
	slices.Sort(took)
	if len(took) == 0 || took[len(took)/2] > limit {
		t.Errorf("%s: not most of them within %v, but after %v", what, limit, took)
	}
}
