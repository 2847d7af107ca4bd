package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"jackfield/internal/client"
)

// evil is in all that a hostile server says: it would set a terminal's title, forge a line, change colours by a C1 character,
// and turn the rest of the line round. plain is the same where JSON does not stand between.
const (
	evil  = `x\u001b]0;PWNED\u0007\nFORGED\t` + "\u009b31m\u007f\u202e"
	plain = "x\x1b]0;PWNED\x07\tFORGED \u009b31m\u007f\u202e"
)

// hostileAnswers are by what the path ends with. EVIL stands for evil.
var hostileAnswers = map[string]string{
	"/services": `{"services":[{"name":"web","station":"EVIL","state":"EVIL","sessions":1,"route":"EVIL","reach":[
		{"listener":"EVIL","protocol":"tcp EVIL","address":"EVIL","port":1,"name":"EVIL"}]}]}`,
	"/sessions": `{"sessions":[{"id":"EVIL","listener":"EVIL","service":"EVIL","user":"EVIL","route":"EVIL","protocol":"EVIL",
		"source":"[fe80::1%EVIL]:5","started":"2026-01-01T00:00:00Z"}]}`,
	"/me":     `{"user":"EVIL","groups":["EVIL"],"scopes":["EVIL"],"proof":"EVIL","token":"EVIL","expires":"2027-01-01T00:00:00Z"}`,
	"/status": `{"version":"EVIL","node":"EVIL","started":"2026-01-01T00:00:00Z"}`,
	"/login":  `{"user":"EVIL","id":"EVIL","token":"jft_EVIL","expires":"2027-01-01T00:00:00Z"}`,
	"/audit": `{"records":[{"event":"open", "id":"EVIL",
		"service":"EVIL","listener":"EVIL","user":"EVIL","source":"EVIL","time":"2026-01-01T00:00:00Z"}, {"event":"refuse",` + "\n" + `"service":"EVIL"},
		{"event":"call","method":"EVIL","target":"EVIL"}, {"event":"close","end":"EVIL"}, {"event":"EVIL"}]}`,
	"/why": `{"listener":"EVIL","service":"EVIL","verdict":"allowed","checks":[
		{"step":1,"place":"EVIL","subject":"EVIL","outcome":"EVIL","by":"EVIL","reason":"EVIL"}]}`,
	"/tokens":       `{"tokens":[{"id":"EVIL","user":"EVIL","label":"EVIL","scopes":["EVIL"],"expires":"2027-01-01T00:00:00Z"}]}`,
	"/users":        `{"users":[{"name":"EVIL","source":"EVIL","groups":["EVIL"]}]}`,
	"/devices":      `{"devices":[{"name":"EVIL"},{"name":"EVIL","connected":true,"since":"2026-01-01T00:00:00Z","listener":"EVIL","source":"[fe80::1%EVIL]:5"}]}`,
	"/certificates": `{"certificates":[{"serial":"EVIL","kind":"EVIL","name":"EVIL","expires":"2027-01-01T00:00:00Z"}]}`,
	"/authority":    `{"bundle":"EVIL","fingerprint":"EVIL"}`,
	"/rotate":       `{"bundle":"EVIL","fingerprint":"EVIL","old_until":"2027-01-01T00:00:00Z"}`,
	"/retire":       `{"bundle":"EVIL","fingerprint":"EVIL"}`,
	"/reload":       `{"generation":2,"cut":1,"warnings":"EVIL"}`,
	"/users/ada":    `{"name":"EVIL","groups":["EVIL"]}`,
}

// A hostile server answers in one of its moods. Who has given a call up does not wait for its end: so calls of earlier moods may
// still be there.
type hostile struct {
	mood atomic.Pointer[http.HandlerFunc]
}

func (h *hostile) answers(mood http.HandlerFunc) { h.mood.Store(&mood) }

func (h *hostile) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	(*h.mood.Load())(w, r)
}

func lies(w http.ResponseWriter, r *http.Request) {
	longest := ""
	for path := range hostileAnswers {
		if strings.HasSuffix(r.URL.Path, path) && len(path) > len(longest) {
			longest = path
		}
	}
	answer := hostileAnswers[longest]
	switch {
	case r.Method == http.MethodPost && longest == "/tokens":
		answer = `{"id":"EVIL","user":"EVIL","token":"EVIL","expires":"2027-01-01T00:00:00Z"}`
	case r.Method == http.MethodPost && longest == "/users":
		answer = `{"name":"EVIL"}`
	case r.Method == http.MethodConnect || answer == "":
		refuses(w, r)
		return
	}
	io.WriteString(w, strings.ReplaceAll(answer, "EVIL", evil))
}

func refuses(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusForbidden)
	io.WriteString(w, strings.ReplaceAll(`{"title":"EVIL","kind":"invalid","detail":"no EVIL","id":"EVIL"}`, "EVIL", evil))
}

func refusesOddly(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusForbidden)
	io.WriteString(w, strings.ReplaceAll(`{"kind":"EVIL","detail":"no EVIL","id":"EVIL"}`, "EVIL", evil))
}

func says(status string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		io.WriteString(conn, status+"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	}
}

func raves(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodConnect { // or it would be the service's own bytes
		w.WriteHeader(http.StatusTeapot)
	}
	io.WriteString(w, `{"`+plain+`": `+plain)
}

// A leaver is a person who leaves when a program has said something.
type leaver struct {
	leave context.CancelFunc

	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (l *leaver) Write(text []byte) (int, error) {
	if l.leave != nil {
		l.leave()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(text)
}

// runTill runs a command line, which ends when it has written to the one that is watched.
func runTill(t *testing.T, words []string, input string, watched func(stdout, stderr *leaver) *leaver) (stdout, stderr string) {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	var out, complaints leaver
	if watched != nil {
		watched(&out, &complaints).leave = leave
	}
	root := newRoot()
	root.SetArgs(words)
	root.SetIn(strings.NewReader(input))
	root.SetOut(&out)
	root.SetErr(&complaints)
	exitStatus(&complaints, root.ExecuteContext(ctx))
	return out.text.String(), complaints.text.String()
}

func serveHostile(t *testing.T) (h *hostile, url, socket string) {
	t.Helper()
	h = &hostile{}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	socket = filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	local := httptest.NewUnstartedServer(h)
	local.Listener.Close()
	local.Listener = listener
	local.Start()
	t.Cleanup(local.Close)
	return h, server.URL, socket
}

// logIn leaves the context of a login to the server, and makes it the current one.
func logIn(t *testing.T, l client.Login) *client.Contexts {
	t.Helper()
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	contexts, err := client.Open("")
	if err != nil {
		t.Fatal(err)
	}
	l.Context = "mal"
	if err := contexts.Save(l); err != nil {
		t.Fatal(err)
	}
	if err := contexts.Use(l.Context); err != nil {
		t.Fatal(err)
	}
	return contexts
}

// TestHostileServer: whatever a server says, no command writes what could control the terminal, or a line that is not its own.
func TestHostileServer(t *testing.T) {
	h, url, socket := serveHostile(t)
	first := func(stdout, _ *leaver) *leaver { return stdout }
	commands := []struct {
		line    string // @ is the socket
		input   string
		watched func(stdout, stderr *leaver) *leaver
		lists   bool // what the server says is the output
	}{
		{line: "ls", lists: true}, {line: "ls --json", lists: true},
		{line: "sessions", lists: true}, {line: "sessions --json", lists: true},
		{line: "status", lists: true}, {line: "status --json", lists: true},
		{line: "why web", lists: true}, {line: "why web --json", lists: true},
		{line: "audit -n 9", lists: true}, {line: "audit -n 9 --json", lists: true},
		{line: "context ls", lists: true}, {line: "context ls --json", lists: true},
		{line: "context use mal"}, {line: "disconnect a b"}, {line: "connect web"}, {line: "connect nosuch"},
		{line: "__complete connect "}, {line: "__complete disconnect "}, {line: "__complete ls --context "},
		{line: "forward web", watched: first, lists: true}, {line: "forward --print-env web", watched: first},
		{line: "forward --json web", watched: first}, {line: "forward nosuch", watched: first},
		{line: "login " + url + " --context fresh --token-stdin", input: "jft_a\n"},
		{line: "login " + url + " --context fresh --user ada --password-stdin --json", input: "secret\n"},
		{line: "context ls"}, {line: "logout --context fresh --forget"},
		{line: "token ls --socket @", lists: true}, {line: "token ls --json --socket @", lists: true},
		{line: "token add ada --socket @", lists: true}, {line: "token add ada --json --socket @", lists: true},
		{line: "token rm a --socket @"},
		{line: "user ls --socket @", lists: true}, {line: "user ls --json --socket @", lists: true},
		{line: "user add ada --no-password --socket @", lists: true}, {line: "user rm ada --socket @"},
		{line: "user change ada --join lab --socket @"},
		{line: "user passwd ada --password-stdin --socket @", input: "secret\n"},
		{line: "certificate ls --socket @", lists: true}, {line: "certificate ls --json --socket @", lists: true},
		{line: "certificate authority --socket @", lists: true}, {line: "certificate rotate --socket @", lists: true},
		{line: "certificate retire --socket @", lists: true}, {line: "certificate revoke a --socket @"},
		{line: "devices --socket @", lists: true}, {line: "devices --json --socket @", lists: true},
		{line: "reload --socket @", lists: true}, {line: "sessions --socket @", lists: true},
	}
	for mood, answer := range map[string]func(http.ResponseWriter, *http.Request){
		"lies":          lies,
		"refuses":       refuses,
		"refuses oddly": refusesOddly,
		"raves":         raves,
		"odd status":    says("HTTP/1.1 418 teapot" + plain),
		"known status":  says("HTTP/1.1 403 teapot" + plain),
		"no HTTP":       says(plain),
	} {
		h.answers(answer)
		logIn(t, client.Login{URL: url, Token: "jft_a", User: strings.ReplaceAll(plain, "\t", "\n")})
		for _, c := range commands {
			words := strings.Split(strings.ReplaceAll(c.line, "@", socket), " ")
			stdout, stderr := runTill(t, words, c.input, c.watched)
			local := strings.Contains(c.line, "@") // on the socket of this machine's own server: its sentences may have lines
			checkHarmless(t, mood+": jackfield "+c.line, stdout, strings.Contains(c.line, "authority"))
			checkHarmless(t, mood+": jackfield "+c.line, stderr, local)
			if stdout+stderr == "" {
				t.Errorf("%s: jackfield %s: it says nothing", mood, c.line)
			}
			if mood == "lies" && c.lists && stdout == "" {
				t.Errorf("jackfield %s shows nothing: %s", c.line, stderr)
			}
			if strings.Contains(c.line, "--json") {
				checkJSONLines(t, mood+": jackfield "+c.line, stdout)
			}
		}
	}
}

// checkHarmless finds what a terminal would act on and, unless the text may have lines, lines that are forged.
func checkHarmless(t *testing.T, name, text string, lines bool) {
	t.Helper()
	if i := strings.IndexFunc(text, func(r rune) bool {
		return !unicode.IsGraphic(r) && r != '\n' && !(r == '\t' && (lines || strings.Contains(name, "__complete")))
	}); i >= 0 {
		t.Errorf("%s: %q reaches the terminal in\n%q", name, text[i:min(i+8, len(text))], text)
	}
	if strings.Contains(text, "\nFORGED") && !lines {
		t.Errorf("%s: a line is forged in\n%q", name, text)
	}
}

func checkJSONLines(t *testing.T, name, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		if !json.Valid([]byte(line)) {
			t.Errorf("%s: %q is no JSON", name, line)
		}
	}
}

// A server that names its services as no service can be named is refused, and nothing of the name becomes a shell's word.
func TestHostileNames(t *testing.T) {
	h, url, _ := serveHostile(t)
	logIn(t, client.Login{URL: url, Token: "jft_a"})
	for _, name := range []string{
		`console.x$(id)`, `$(id)`, "`id`", `console.fwd;id`, `console.fwd\r\nX: y`, `console.fwd ` + evil, `console.a.b`, `help`, `console.fwd\u0000`,
	} {
		h.answers(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"services":[{"name":"%s","station":"fwd","state":"available"}]}`, name)
		})
		for _, line := range []string{"ls", "forward --print-env fwd", "forward fwd", "__complete connect "} {
			stdout, stderr := runTill(t, strings.Split(line, " "), "", func(stdout, _ *leaver) *leaver { return stdout })
			checkHarmless(t, line, stdout+stderr, false)
			if strings.ContainsAny(stdout, "$`;()") || strings.Contains(strings.ToLower(stdout), "console") {
				t.Errorf("jackfield %s with %q: %q", line, name, stdout)
			}
			if line == "ls" && !strings.Contains(stderr, "does not speak like a Jackfield server: service name") && !strings.Contains(stderr, "reserved") &&
				!strings.Contains(stderr, "station in service name") {
				t.Errorf("jackfield %s with %q: %q", line, name, stderr)
			}
		}
	}
}

// What is offered for a word is not run by the shell, even if the person does not look.
func TestHostileCompletion(t *testing.T) {
	h, url, _ := serveHostile(t)
	logIn(t, client.Login{URL: url, Token: "jft_a"})
	h.answers(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"sessions":[{"id":"k-1"},{"id":"$(id)"},{"id":"a;id"},{"id":""},{"id":"--config"},{"id":"a b"},{"id":"a\tb"}]}`)
	})
	var stdout string
	for late := true; late; { // an answer that comes too late is none
		began := time.Now()
		stdout, _ = runTill(t, []string{"__complete", "disconnect", ""}, "", nil)
		late = time.Since(began) >= completionPatience
	}
	if strings.Count(stdout, "\n") != 2 || !strings.HasPrefix(stdout, "k-1\t") {
		t.Errorf("it offers %q", stdout)
	}
}

// A list or an audit without end is given up, and the sentence says so.
func TestHostilePages(t *testing.T) {
	h, url, _ := serveHostile(t)
	logIn(t, client.Login{URL: url, Token: "jft_a"})
	for answer, lines := range map[string][]string{
		`{"records":[],"next":"x"}`:                               {"audit -n 5"},
		`{"records":[{}],"next":"x"}`:                             {"audit -n 5"},
		`{"services":[],"next":"x"}`:                              {"ls"},
		`{"services":[{"name":"a"}],"next":"x"}`:                  {"ls"},
		`{"sessions":[{"id":"a"}],"next":"x"}`:                    {"sessions"},
		`{"services":[` + strings.Repeat(`{},`, 100_000) + `{}]}`: {"ls"},
	} {
		h.answers(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, answer) })
		for _, line := range lines {
			stdout, stderr := runTill(t, strings.Fields(line), "", nil)
			if stdout != "" || !strings.Contains(stderr, "does not end") && !strings.Contains(stderr, "more than 100000 entries") ||
				!strings.Contains(stderr, url) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("jackfield %s with %.60s: %.200q %q", line, answer, stdout, stderr)
			}
		}
	}
}

// While the audit cannot be followed, the sentence names the server.
func TestFollowComplaint(t *testing.T) {
	h, url, _ := serveHostile(t)
	logIn(t, client.Login{URL: url, Token: "jft_a"})
	h.answers(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/audit") {
			io.WriteString(w, `{"records":[]}`)
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, `{"kind":"unavailable","detail":"not now","id":"k-1"}`)
	})
	_, stderr := runTill(t, []string{"audit", "-f"}, "", func(_, stderr *leaver) *leaver { return stderr })
	if want := "jackfield: audit: " + url + ": not now [k-1]\n"; stderr != want {
		t.Errorf("it says %q, not %q", stderr, want)
	}
}
