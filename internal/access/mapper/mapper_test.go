//go:build unix

package mapper

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"jackfield"
	"jackfield/internal/logtest"
	"jackfield/wire/mapper"
)

// The test binary is the program: with this variable it is one of programs.
const programVariable = "TEST_PROGRAM"

func TestMain(m *testing.M) {
	if name := os.Getenv(programVariable); name != "" {
		programs[name]()
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// programs are what the test binary can be. Those of the faults are named after them.
var programs = map[string]func(){
	"rules": func() {
		serve(func(r mapper.Request) mapper.Response {
			service, _ := r.Entries.Get("service")
			if address, _ := r.Entries.Get("addr-ip"); address != "192.0.2.7" {
				return mapper.Response{Text: "not from " + address}
			}
			return mapper.Response{Success: service == "web", Text: "service " + service}
		})
	},
	"echo": func() { // says what it was sent
		serve(func(r mapper.Request) mapper.Response {
			var said []string
			for _, e := range r.Entries {
				said = append(said, e.Key+"="+e.Value)
			}
			return mapper.Response{Success: true, Text: strings.Join(said, " ")}
		})
	},
	"pid": func() {
		serve(func(mapper.Request) mapper.Response {
			return mapper.Response{Success: true, Text: strconv.Itoa(os.Getpid())}
		})
	},
	"returns": func() { // returns the entries of its environment
		key, value, _ := strings.Cut(os.Getenv("RETURNS"), "=")
		serve(func(mapper.Request) mapper.Response {
			return mapper.Response{Success: true, Entries: mapper.Entries{{Key: key, Value: value}}}
		})
	},
	"complains": func() {
		fmt.Fprintln(os.Stderr, "database is slow")
		serve(func(mapper.Request) mapper.Response {
			return mapper.Response{Text: "\x1b[31mgo\taway\xff" + strings.Repeat("y", 500)}
		})
	},
	"exit 1":       func() { answer("success:"); os.Exit(1) },
	"killed":       func() { answer("success:"); p, _ := os.FindProcess(os.Getpid()); p.Kill(); select {} },
	"silent":       func() { time.Sleep(time.Hour) },
	"hangs":        func() { answer("success:"); time.Sleep(time.Hour) },
	"no answer":    func() { fmt.Println("version:1") },
	"noise":        func() { fmt.Print("version:1\n"); os.Stdout.Write(bytes.Repeat([]byte{0, 0x80, '\n'}, 1000)) },
	"endless line": func() { fmt.Print("version:1\n"); endless() },
	"version 0":    func() { fmt.Println("version:0") },
	"wrong id":     func() { fmt.Print("version:1\nrequest:7\nsuccess:\n") },
	"early":        func() { fmt.Print("version:1\nsuccess:\n") },
	"ends":         func() { os.Exit(3) },
	"leaves a child": func() {
		child, err := os.StartProcess("/bin/sleep", []string{"sleep", "1000"}, &os.ProcAttr{})
		if err != nil {
			os.Exit(4)
		}
		answer("success:" + strconv.Itoa(child.Pid))
		io.Copy(io.Discard, os.Stdin) // one that exits with its input unread is denied
	},
}

func serve(decide func(mapper.Request) mapper.Response) {
	handler := func(_ context.Context, r mapper.Request) mapper.Response { return decide(r) }
	if err := mapper.Serve(context.Background(), os.Stdin, os.Stdout, handler); err != nil {
		os.Exit(5)
	}
}

// answer gives the same answer to the first request without reading it.
func answer(line string) { fmt.Print("version:1\nrequest:1\n", line, "\n") }

func endless() {
	for line := bytes.Repeat([]byte("x"), 1<<16); ; {
		if _, err := os.Stdout.Write(line); err != nil {
			os.Exit(6)
		}
	}
}

// patience is for what ought to be quick on a machine that is busy.
const patience = 30 * time.Second

// A fixture is a mapper and what it logged.
type fixture struct {
	*Mapper
	log *logtest.Buffer
}

// start makes a mapper of one of the programs, which the test closes.
func start(t testing.TB, program string, change ...func(*Options)) fixture {
	t.Helper()
	o := Options{Name: "corp", Path: os.Args[0], Timeout: patience, Env: map[string]string{programVariable: program, "GORACE": "atexit_sleep_ms=0"}}
	for _, c := range change {
		c(&o)
	}
	log := new(logtest.Buffer)
	m, err := New(o, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	m.Start()
	t.Cleanup(m.Close)
	return fixture{m, log}
}

func request(change ...func(*jackfield.Request)) *jackfield.Request {
	r := &jackfield.Request{
		ID: "inst-7", Listener: "mux", Protocol: "tcpmux", Service: "web",
		Source:   netip.MustParseAddrPort("192.0.2.7:4711"),
		Identity: jackfield.Identity{Proof: jackfield.ProofNone},
	}
	for _, c := range change {
		c(r)
	}
	return r
}

func TestProgramDecides(t *testing.T) {
	m := start(t, "rules")
	for name, test := range map[string]struct {
		asked  *jackfield.Request
		allow  bool
		reason string
		note   string
	}{
		"allowed": {request(), true, "the program allowed", "service web"},
		"service": {request(func(r *jackfield.Request) { r.Service = "ssh" }), false, "service ssh", ""},
		"address": {request(func(r *jackfield.Request) { r.Source = netip.MustParseAddrPort("192.0.2.8:1") }), false, "not from 192.0.2.8", ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := m.Decide(t.Context(), test.asked)
			if d.Allow != test.allow || d.By != "mapper.corp" || d.Reason != test.reason || d.Terms.Note != test.note || d.Message != "" {
				t.Errorf("got %+v", d)
			}
		})
	}
}

// Every fault denies, within the timeout, with a reason that says which fault it was; nothing is left running.
func TestFaultsDeny(t *testing.T) {
	short := func(o *Options) { o.Timeout = 10 * time.Second }
	for fault, test := range map[string]struct {
		reason string
		change []func(*Options)
	}{
		"exit 1":       {"exit status 1", nil},
		"killed":       {"signal: killed", nil},
		"silent":       {"within 10s", []func(*Options){short}},
		"hangs":        {"no end of the program within 10s", []func(*Options){short}},
		"no answer":    {"no answer", nil},
		"noise":        {"NUL byte in a line", nil},
		"endless line": {"line too long", nil},
		"version 0":    {"bad version", nil},
		"wrong id":     {"no answer", nil},
		"early":        {"no answer", nil},
		"ends":         {"(exit status 3)", nil},
	} {
		for _, warm := range []int{0, 1} {
			t.Run(fmt.Sprintf("%s/warm %d", fault, warm), func(t *testing.T) {
				t.Parallel()
				m := start(t, fault, append(test.change, func(o *Options) { o.Warm = warm })...)
				d := m.Decide(t.Context(), request())
				if d.Allow || !strings.Contains(d.Reason, test.reason) {
					t.Errorf("got %+v, want a denial because of %q", d, test.reason)
				}
				m.Close()
				if !m.idle() {
					t.Error("something is left running")
				}
			})
		}
	}
}

func TestProgramThatCannotStart(t *testing.T) {
	path := t.TempDir() + "/program"
	if err := os.WriteFile(path, []byte("no program"), 0o755); err != nil {
		t.Fatal(err)
	}
	m := start(t, "", func(o *Options) { o.Path = path })
	if d := m.Decide(t.Context(), request()); d.Allow || !strings.Contains(d.Reason, "cannot be started") {
		t.Errorf("got %+v", d)
	}
}

func TestNew(t *testing.T) {
	for name, test := range map[string]struct {
		options Options
		says    string
	}{
		"nowhere":        {Options{Path: "/nonexistent/authz"}, "does not exist"},
		"not in PATH":    {Options{Path: "no-such-program"}, "in no directory of PATH"},
		"a directory":    {Options{Path: "/etc"}, "directory"},
		"not executable": {Options{Path: "/etc/passwd"}, "not executable"},
		"no such user":   {Options{Path: "/bin/sh", User: "no such user"}, "no such user"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(test.options, slog.New(slog.DiscardHandler))
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v", err)
			}
		})
	}
}
