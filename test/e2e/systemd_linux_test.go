package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jackfield/test/live"
)

// TestNotify is systemd, as a service of Type=notify-reload with a watchdog sees it.
func TestNotify(t *testing.T) {
	t.Parallel()
	states := listenNotify(t)
	s, dir := serveEcho(t, stopConfig, "drain_timeout=10s", "NOTIFY_SOCKET="+states.path, "WATCHDOG_USEC=100000")
	states.expect(t, "^READY=1$")

	for _, config := range []string{stopConfig, stopConfig + badLine} {
		writeConfig(t, dir, config)
		before := monotonicMicroseconds(t)
		signalServer(t, s, syscall.SIGHUP)
		state := states.expect(t, `^RELOADING=1\nMONOTONIC_USEC=(\d+)$`)
		if at, err := strconv.ParseInt(state[1], 10, 64); err != nil || at < before || at > monotonicMicroseconds(t) {
			t.Errorf("the reload is said to have begun at %d, after %d", at, before)
		}
		states.expect(t, "^READY=1$")
	}
	for range 2 {
		states.expectAny(t, "^WATCHDOG=1$")
	}
	signalServer(t, s, syscall.SIGTERM)
	states.expect(t, "^STOPPING=1$")
	go states.readOn() // the server waits for whoever lets too many states pile up
	if err := s.Stop(syscall.Signal(0)); err != nil {
		t.Error(err)
	}
}

type notifySocket struct {
	path string
	conn *net.UnixConn
}

func listenNotify(t *testing.T) *notifySocket {
	t.Helper()
	dir, err := os.MkdirTemp("", "notify") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "socket")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &notifySocket{path, conn}
}

// expect wants the next state, but for those of the watchdog, to match, and returns its groups.
func (n *notifySocket) expect(t *testing.T, pattern string) []string {
	t.Helper()
	for {
		if state := n.read(t); state != "WATCHDOG=1" {
			found := regexp.MustCompile(pattern).FindStringSubmatch(state)
			if found == nil {
				t.Fatalf("the state is %q, not %s", state, pattern)
			}
			return found
		}
	}
}

// expectAny wants the very next state to match.
func (n *notifySocket) expectAny(t *testing.T, pattern string) {
	t.Helper()
	if state := n.read(t); !regexp.MustCompile(pattern).MatchString(state) {
		t.Fatalf("the state is %q, not %s", state, pattern)
	}
}

func (n *notifySocket) read(t *testing.T) string {
	t.Helper()
	n.conn.SetReadDeadline(time.Now().Add(live.Patience))
	buffer := make([]byte, 4096)
	size, err := n.conn.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	return string(buffer[:size])
}

// readOn reads until the socket is closed.
func (n *notifySocket) readOn() {
	n.conn.SetReadDeadline(time.Time{})
	for buffer := make([]byte, 4096); ; {
		if _, err := n.conn.Read(buffer); err != nil {
			return
		}
	}
}

func monotonicMicroseconds(t *testing.T) int64 {
	t.Helper()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		t.Fatal(err)
	}
	return now.Nano() / 1000
}

// activationConfig has two listeners, at the given addresses.
const activationConfig = `
data_dir = "data"
listener "mux" {
  protocol = "tcpmux"
  listen   = %q
}
listener "other" {
  protocol = "tcpmux"
  listen   = %q
}
service "echo" {
  listeners = ["mux", "other"]
  builtin   = "echo"
}
service "descriptors" {
  listeners = ["mux", "other"]
  command   = ["/bin/sh", "-c", "ls /proc/$$/fd; env"]
}
`

// TestSocketActivation gives the server sockets that are open, with a client waiting in each.
func TestSocketActivation(t *testing.T) {
	t.Parallel()
	first, second := listenTCP(t), listenTCP(t)
	config := fmt.Sprintf(activationConfig, "127.0.0.1:0", second.Addr())
	cmd := activated(t, config, []string{"mux", "jackfield.socket"}, first, second)
	waiting := make(map[string]*client)
	for name, ln := range map[string]net.Listener{"mux": first, "other": second} {
		c, err := connect(ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.close)
		say(t, c, "echo\r\nhello")
		waiting[name] = c
	}
	s, err := live.ServeCommand(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
	})
	for name, ln := range map[string]net.Listener{"mux": first, "other": second} {
		if got := s.Addresses[name]; got != ln.Addr().String() {
			t.Errorf("%s listens on %s", name, got)
		}
		expect(t, waiting[name], "+\r\nhello")
		if err := waiting[name].CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	// They are the server's, not its programs'.
	c := open(t, s, "mux")
	say(t, c, "descriptors\r\n")
	if inside, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(inside), "+\r\n0\n1\n2\n") || strings.Contains(string(inside), "LISTEN_") {
		t.Errorf("a program sees (%v)\n%s", err, inside)
	}

	// A reload keeps them.
	if out, status := reload(t, cmd.Dir, config); status != 0 {
		t.Errorf("exit status %d:\n%s", status, out)
	}
	for _, name := range []string{"mux", "other"} {
		if err := exchange(s.Addresses[name], "echo\r\nhello", "+\r\nhello"); err != nil {
			t.Errorf("%s after a reload: %v", name, err)
		}
	}
}

// TestSocketActivationUnwanted gives the server a socket that no listener wants: its clients would wait for ever.
func TestSocketActivationUnwanted(t *testing.T) {
	t.Parallel()
	unwanted := listenTCP(t)
	cmd := activated(t, fmt.Sprintf(activationConfig, "127.0.0.1:0", "127.0.0.1:0"), []string{"nobody"}, unwanted)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("the server ended with %v", err)
	}
	want := fmt.Sprintf(`no listener is named "nobody" or listens on %s`, unwanted.Addr())
	if !strings.Contains(string(out), want) {
		t.Errorf("the server says\n%s", out)
	}
}

func listenTCP(t *testing.T) *net.TCPListener {
	t.Helper()
	ln, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// activated is the server's command as systemd would start it with sockets of these names.
func activated(t *testing.T, config string, names []string, sockets ...*net.TCPListener) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec jackfield serve --config jackfield.hcl`)
	cmd.Dir = t.TempDir()
	writeConfig(t, cmd.Dir, config)
	cmd.Env = append(os.Environ(), fmt.Sprintf("LISTEN_FDS=%d", len(sockets)), "LISTEN_FDNAMES="+strings.Join(names, ":"))
	for _, ln := range sockets {
		file, err := ln.File()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { file.Close() })
		cmd.ExtraFiles = append(cmd.ExtraFiles, file)
	}
	return cmd
}
