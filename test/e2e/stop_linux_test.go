package e2e

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"jackfield/test/live"
)

const stopConfig = `
data_dir = "data"
drain_timeout = env("drain_timeout")
listener "mux" {
  protocol = "tcpmux"
  listen   = "127.0.0.1:0"
}
service "dialled" {
  listeners = ["mux"]
  address   = env("echo")
}
service "builtin" {
  listeners = ["mux"]
  builtin   = "echo"
}
service "direct" {
  listeners = ["mux"]
  command   = ["/bin/cat"]
}
service "relayed" {
  listeners    = ["mux"]
  command      = ["/bin/cat"]
  idle_timeout = "5m"
}
service "sleeper" {
  listeners = ["mux"]
  command   = ["/bin/sh", "-c", "echo $$; exec sleep 600"]
}
`

var stopServices = []string{"dialled", "builtin", "direct", "relayed"}

// TestDrain stops a server with sessions: they can finish, and nobody new comes in.
func TestDrain(t *testing.T) {
	t.Parallel()
	s, dir := serveEcho(t, stopConfig, "drain_timeout=5m")
	sessions := openSessions(t, s)
	signalServer(t, s, syscall.SIGTERM)
	awaitLog(t, s, live.Equal("msg", "stopping"), live.Equal("sessions", strconv.Itoa(len(sessions))))
	if !eventually(func() bool { return errors.Is(exchange(s.Addresses["mux"], "", ""), syscall.ECONNREFUSED) }) {
		t.Error("the port is still open")
	}
	for _, c := range sessions {
		say(t, c, "again")
		expect(t, c, "again")
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		expectEnd(t, c, "FIN")
	}
	if err := s.Stop(syscall.Signal(0)); err != nil { // it stops by itself
		t.Error(err)
	}
	checkEnds(t, dir, "finished")
}

// TestDrainCut stops a server whose sessions do not finish.
func TestDrainCut(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, timeout string }{
		{"second signal", "5m"},
		{"drain_timeout", "200ms"},
		{"no drain_timeout", "0s"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, dir := serveEcho(t, stopConfig, "drain_timeout="+test.timeout)
			sessions := openSessions(t, s)
			signalServer(t, s, syscall.SIGTERM)
			awaitLog(t, s, live.Equal("msg", "stopping"))
			if test.timeout == "5m" {
				signalServer(t, s, syscall.SIGTERM)
			}
			for i, c := range sessions {
				if how, err := c.readEnd(); how != "RST" || err != nil {
					t.Errorf("%s ended with %q, %v", stopServices[i], how, err)
				}
			}
			if err := s.Stop(syscall.Signal(0)); err != nil {
				t.Error(err)
			}
			checkEnds(t, dir, "server is stopping")
		})
	}
}

// openSessions opens one of each kind, that has said something.
func openSessions(t *testing.T, s *live.Server) []*client {
	t.Helper()
	var sessions []*client
	for _, service := range stopServices {
		c := open(t, s, "mux")
		say(t, c, service+"\r\nhello")
		expect(t, c, "+\r\nhello")
		sessions = append(sessions, c)
	}
	return sessions
}

func checkEnds(t *testing.T, dir, end string) {
	t.Helper()
	for _, service := range stopServices {
		if len(auditLines(t, dir, live.Equal("event", "close"), live.Equal("service", service), live.Equal("end", end))) != 1 {
			t.Errorf("%s: the audit has no close record with %q: %v", service, end, auditLines(t, dir, live.Equal("event", "close")))
		}
	}
}

func signalServer(t *testing.T, s *live.Server, signal syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(s.PID(), signal); err != nil {
		t.Fatal(err)
	}
}

func awaitLog(t *testing.T, s *live.Server, tests ...live.Test) live.Line {
	t.Helper()
	if err := s.WaitFor(func(output string) bool { return len(live.Select(output, tests...)) > 0 }); err != nil {
		t.Fatal(err)
	}
	return live.Select(s.Output(), tests...)[0]
}

// TestKilled kills a server that has work to do, and starts another one in its place.
func TestKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeConfig(t, dir, stopConfig)
	environment := []string{"drain_timeout=10s", "echo=" + startEcho(t)}
	first, err := live.Serve(dir, "jackfield.hcl", environment...)
	if err != nil {
		t.Fatal(err)
	}
	c := open(t, first, "mux")
	say(t, c, "sleeper\r\n")
	expect(t, c, "+\r\n")
	pid := readNumber(t, c)
	t.Cleanup(func() { syscall.Kill(pid, syscall.SIGKILL) })

	// The server is writing its audit when it is killed.
	killed := make(chan struct{})
	busy := make(chan struct{}, 1)
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		for done := 0; ; done++ {
			err := exchange(first.Addresses["mux"], "builtin\r\n", "+\r\n")
			select {
			case <-killed:
				return
			default:
			}
			if err != nil && done < 100 {
				t.Errorf("exchange %d: %v", done, err)
			}
			if done == 100 || err != nil {
				select {
				case busy <- struct{}{}:
				default:
				}
			}
		}
	}()
	<-busy
	first.Stop(syscall.SIGKILL) // which is no good end
	close(killed)
	<-finished
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("the program has not survived: %v", err)
	}
	opened := auditLines(t, dir, live.Equal("event", "open"), live.Equal("service", "sleeper"))
	if len(opened) != 1 {
		t.Fatalf("the audit has %v", opened)
	}
	checkWhole(t, dir)

	second, err := live.Serve(dir, "jackfield.hcl", environment...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := second.Stop(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
	})
	awaitLog(t, second, live.Equal("msg", "program of an earlier run still lives"), live.Equal("pid", strconv.Itoa(pid)),
		live.Equal("session", opened[0]["id"].(string)), live.Equal("service", "sleeper"))
	for _, service := range stopServices {
		if err := exchange(second.Addresses["mux"], service+"\r\nhello", "+\r\nhello"); err != nil {
			t.Errorf("%s: %v", service, err)
		}
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Errorf("the program does not live on: %v", err)
	}
	checkWhole(t, dir)
}

// readNumber reads a line.
func readNumber(t *testing.T, r io.Reader) int {
	t.Helper()
	var line []byte
	for b := make([]byte, 1); ; line = append(line, b[0]) {
		if _, err := io.ReadFull(r, b); err != nil {
			t.Fatal(err)
		}
		if b[0] == '\n' {
			break
		}
	}
	n, err := strconv.Atoi(string(line))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// checkWhole wants every line of the audit to be JSON, to its end.
func checkWhole(t *testing.T, dir string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "data/audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if lines, whole := strings.Count(string(text), "\n"), len(live.Select(string(text))); lines != whole || !strings.HasSuffix(string(text), "\n") {
		t.Errorf("%d of %d lines of the audit are whole", whole, lines)
	}
}
