package e2e

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"jackfield/test/live"
)

// A harm is bad input, or a bad service. It must leave the server as it was.
type harm struct {
	name string
	do   func(t *testing.T, s *live.Server)
	kind string // of the one refusal that the log tells of; empty: none
}

var harms = []harm{
	{"empty name", saying("\r\n", "-service not available ["), "not_found"},
	{"line feed only", saying("\n", "-service not available ["), "not_found"},
	{"NUL and bytes from 0x80", saying("\x00\xff\x80echo\r\n", "-service not available ["), "not_found"},
	{"10 MB without a line end", saying(strings.Repeat("a", 10e6), "-service name is too long ["), "invalid"},
	{"one byte at a time", oneByteAtATime, "invalid"},
	{"gone before the reply", goneBeforeTheReply, ""},
	{"half-closed at once", halfClosedAtOnce, ""},
	{"half-closed within the name", halfClosedWithinTheName, "invalid"},
	{"idle connections", idleConnections, ""},
	{"service that closes at once", serviceThatCloses, ""},
	{"service that never reads", serviceThatNeverReads, ""},
	{"client that never reads", clientThatNeverReads, ""},
	{"program that never reads", programThatNeverReads, ""},
	{"program that closes its descriptors and lives on", running("closes-all", ""), ""},
	{"program that forks and leaves", running("leaves", "gone\n"), ""},
	{"program that leaves a child that ignores SIGTERM", running("stubborn", "gone\n"), ""},
	{"program that writes 100 MB to stderr", running("complains", "done\n"), ""},
}

const harmlessConfig = `
data_dir = "data"
listener "mux" {
  protocol     = "tcpmux"
  listen       = "127.0.0.1:0"
  name_timeout = "1m"
}
listener "hasty" {
  protocol     = "tcpmux"
  listen       = "127.0.0.1:0"
  name_timeout = "3s"
}
listener "patient" {
  protocol     = "tcpmux"
  listen       = "127.0.0.1:0"
  name_timeout = "5m"
}
service "echo" {
  listeners = ["mux", "patient"]
  builtin   = "echo"
}
service "chargen" {
  listeners = ["mux"]
  builtin   = "chargen"
}
service "reply" {
  listeners = ["mux"]
  address   = env("reply")
}
service "closes" {
  listeners = ["mux"]
  address   = env("closes")
}
service "deaf" {
  listeners = ["mux"]
  address   = env("deaf")
}
service "cat" {
  listeners = ["mux"]
  command   = ["/bin/cat"]
}
service "sleeps" {
  listeners = ["mux"]
  command   = ["/bin/sh", "-c", "until test -e \"$0\"; do sleep 0.1; done", env("awake")]
}
service "closes-all" {
  listeners = ["mux"]
  command   = ["/bin/sh", "-c", "exec 0<&- 1>&- 2>&-; sleep 1"]
}
service "leaves" {
  listeners = ["mux"]
  command   = ["/bin/sh", "-c", "setsid sleep 2 & echo gone"]
}
service "stubborn" {
  listeners  = ["mux"]
  command    = ["/bin/sh", "-c", "trap '' TERM; sleep 600 & echo gone"]
  kill_grace = "1s"
}
service "complains" {
  listeners = ["mux"]
  command   = ["/bin/sh", "-c", "yes | head -c 100000000 >&2; echo done"]
}
`

// TestHarmless does its worst to one server. After each harm the server lives and serves, has said what it should have
// in its log, once, and holds no descriptor more than before.
func TestHarmless(t *testing.T) {
	t.Parallel()
	s := startHarmless(t)
	request(t, s)
	for _, h := range harms {
		t.Run(h.name, func(t *testing.T) {
			descriptors, before := countDescriptors(t, s), len(s.Output())
			t.Run("harm", func(t *testing.T) { h.do(t, s) }) // its clients are gone after it
			request(t, s)
			if !eventually(func() bool { return countDescriptors(t, s) <= descriptors }) {
				t.Errorf("%d descriptors were open, now there are %d", descriptors, countDescriptors(t, s))
			}
			h.checkLog(t, s, before)
		})
	}
}

func startHarmless(t *testing.T) *live.Server {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "jackfield.hcl"), []byte(harmlessConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	environment := []string{"awake=" + filepath.Join(dir, "awake")}
	for _, name := range []string{"reply", "closes", "deaf"} {
		address, stop, err := startBackend(backends[name])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(stop)
		environment = append(environment, name+"="+address)
	}
	s, err := live.Serve(dir, "jackfield.hcl", environment...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (h *harm) checkLog(t *testing.T, s *live.Server, before int) {
	t.Helper()
	refused := func() []live.Line { return live.Select(s.Output()[before:], live.Equal("msg", "request refused")) }
	if h.kind == "" {
		if lines := refused(); len(lines) > 0 {
			t.Errorf("the log says %v", lines)
		}
		return
	}
	if !eventually(func() bool { return len(refused()) > 0 }) {
		t.Fatal("the log does not tell of it")
	}
	if lines := refused(); len(lines) != 1 || lines[0]["kind"] != h.kind {
		t.Errorf("the log says %v", lines)
	}
}

// request is what must always work, over every route.
func request(t *testing.T, s *live.Server) {
	t.Helper()
	for _, service := range []string{"echo", "reply", "cat"} {
		c := open(t, s, "mux")
		say(t, c, service+"\r\nhello")
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		expect(t, c, map[string]string{"echo": "+\r\nhello", "reply": "+\r\ngot hello", "cat": "+\r\nhello"}[service])
		expectEnd(t, c, "FIN")
		c.Close()
	}
}

func saying(input, answer string) func(*testing.T, *live.Server) {
	return func(t *testing.T, s *live.Server) {
		c := open(t, s, "mux")
		io.WriteString(c, input) // the server need not read it all
		expect(t, c, answer)
	}
}

func oneByteAtATime(t *testing.T, s *live.Server) {
	c := open(t, s, "hasty")
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	answered := make(chan error, 1)
	go func() { answered <- c.read("-no service name in time [") }()
	for {
		select {
		case err := <-answered:
			if err != nil {
				t.Error(err)
			}
			return
		case <-tick.C:
			io.WriteString(c, "a")
		}
	}
}

func goneBeforeTheReply(t *testing.T, s *live.Server) {
	for _, service := range []string{"echo", "reply", "chargen"} {
		for range 20 {
			c := open(t, s, "mux")
			say(t, c, service+"\r\n")
			c.SetLinger(0)
			c.Close()
		}
	}
}

func halfClosedAtOnce(t *testing.T, s *live.Server) {
	c := open(t, s, "mux")
	c.CloseWrite()
	expectEnd(t, c, "FIN")
}

func halfClosedWithinTheName(t *testing.T, s *live.Server) {
	c := open(t, s, "mux")
	say(t, c, "ech")
	c.CloseWrite()
	expect(t, c, "-service name without a line end [")
}

// idleConnections never send. Others are served meanwhile.
func idleConnections(t *testing.T, s *live.Server) {
	idle := make([]*client, idleWithin(t, 5000))
	for i := range idle {
		idle[i] = open(t, s, "patient")
	}
	if !eventually(func() bool { return countDescriptors(t, s) > len(idle) }) {
		t.Errorf("the server has %d descriptors with %d clients", countDescriptors(t, s), len(idle))
	}
	request(t, s)
	last := idle[len(idle)-1]
	say(t, last, "echo\r\nhello")
	expect(t, last, "+\r\nhello")
	for _, c := range idle {
		c.Close()
	}
}

// idleWithin bounds a number of clients by what the server, and this process, have descriptors for.
func idleWithin(t *testing.T, n int) int {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	const others = 500 // descriptors that are no clients
	if room := (int(limit.Max) - others) / 2; room < n {
		t.Logf("%d clients only: the limit on open descriptors is %d", room, limit.Max)
		return room
	}
	return n
}

func serviceThatCloses(t *testing.T, s *live.Server) {
	c := open(t, s, "mux")
	say(t, c, "closes\r\n")
	expect(t, c, "+\r\n")
	expectEnd(t, c, "FIN")
}

// serviceThatNeverReads makes the client wait: nothing piles up in between.
func serviceThatNeverReads(t *testing.T, s *live.Server) {
	c := open(t, s, "mux")
	say(t, c, "deaf\r\n")
	expect(t, c, "+\r\n")
	const most = 64 << 20 // far more than the sockets' buffers hold
	c.SetWriteDeadline(time.Now().Add(time.Second))
	sent, err := c.ReadFrom(io.LimitReader(endless{}, most))
	if sent == most || !os.IsTimeout(err) {
		t.Errorf("%d bytes were sent: %v", sent, err)
	}
	c.SetLinger(0)
	c.Close()
}

// programThatNeverReads ends by itself, once a file is there: it does not notice that its client has gone.
func programThatNeverReads(t *testing.T, s *live.Server) {
	c := open(t, s, "mux")
	say(t, c, "sleeps\r\n")
	expect(t, c, "+\r\n")
	c.SetWriteDeadline(time.Now().Add(time.Second))
	const most = 64 << 20
	if sent, err := c.ReadFrom(io.LimitReader(endless{}, most)); sent == most || !os.IsTimeout(err) {
		t.Errorf("%d bytes were sent: %v", sent, err)
	}
	c.SetLinger(0)
	c.Close()
	writeFile(t, fmt.Sprintf("/proc/%d/cwd/awake", s.PID()), "")
}

// running has the client wait for a program's answer and its end.
func running(service, answer string) func(*testing.T, *live.Server) {
	return func(t *testing.T, s *live.Server) {
		c := open(t, s, "mux")
		say(t, c, service+"\r\n")
		expect(t, c, "+\r\n"+answer)
		expectEnd(t, c, "FIN")
	}
}

func clientThatNeverReads(t *testing.T, s *live.Server) {
	var clients sync.WaitGroup
	for range 10 {
		clients.Go(func() {
			c := open(t, s, "mux")
			say(t, c, "chargen\r\n")
			expect(t, c, "+\r\n")
			c.SetLinger(0)
			c.Close()
		})
	}
	clients.Wait()
}

// endless is a reader of zeros.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func open(t *testing.T, s *live.Server, listener string) *client {
	t.Helper()
	c, err := connect(s.Addresses[listener])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	return c
}

func say(t *testing.T, c *client, text string) {
	t.Helper()
	c.endure()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, c *client, text string) {
	t.Helper()
	c.endure()
	if err := c.read(text); err != nil {
		t.Fatal(err)
	}
}

func expectEnd(t *testing.T, c *client, how string) {
	t.Helper()
	if !c.reset {
		c.endure()
	}
	if got, err := c.readEnd(); got != how || err != nil {
		t.Errorf("the connection ended with %q, %v", got, err)
	}
}

func countDescriptors(t *testing.T, s *live.Server) int {
	t.Helper()
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.PID()))
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}
