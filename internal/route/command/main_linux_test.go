package command_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"jackfield"
	"jackfield/internal/logtest"
	"jackfield/internal/route/command"
)

// TestMain also is those programs that a shell cannot be.
func TestMain(m *testing.M) {
	if role, is := os.LookupEnv("TEST_ROLE"); is {
		os.Exit(roles[role]())
	}
	goleak.VerifyTestMain(m)
}

var roles = map[string]func() int{
	"server": beServer,
	"limits": printLimits,
	"abuse":  abuseForkServer,
}

// patience is how long a test waits for what must happen.
const patience = time.Minute

func newRoute(t testing.TB, o command.Options) *command.Route {
	t.Helper()
	if o.Launcher == nil {
		o.Launcher = newLauncher(t)
	}
	route, err := command.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return route
}

// newLauncher returns a launcher for the time of the test.
func newLauncher(t testing.TB) *command.Launcher {
	launcher := command.NewLauncher()
	t.Cleanup(launcher.Close)
	return launcher
}

func shell(script string) []string { return []string{"/bin/sh", "-c", script} }

func request() *jackfield.Request {
	return &jackfield.Request{
		ID:       "inst-7",
		Service:  "svc",
		Source:   netip.MustParseAddrPort("192.0.2.7:4711"),
		Local:    netip.MustParseAddrPort("192.0.2.1:1"),
		Identity: jackfield.Identity{User: "alice"},
	}
}

func tcpPair(t testing.TB) (client, server *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	dialed, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialed.Close(); accepted.Close() })
	dialed.SetDeadline(time.Now().Add(patience))
	return dialed.(*net.TCPConn), accepted.(*net.TCPConn)
}

// A direct is a client in the direct form, with what the listener and the gateway do for it.
type direct struct {
	t       testing.TB
	client  *net.TCPConn
	server  *net.TCPConn
	taken   jackfield.Taken
	cancel  context.CancelCauseFunc
	ctx     context.Context
	serving sync.WaitGroup
	details string
	err     error
}

// take goes as far as the point where the listener would answer.
func take(t testing.TB, route *command.Route) *direct {
	t.Helper()
	d := &direct{t: t}
	d.client, d.server = tcpPair(t)
	d.ctx, d.cancel = context.WithCancelCause(context.Background())
	taken, err := route.TakeSocket(d.ctx, request(), d.server)
	if err != nil {
		t.Fatal(err)
	}
	d.taken = taken
	t.Cleanup(func() { d.cancel(nil); d.end() })
	return d
}

func (d *direct) serve() *direct {
	d.serving.Go(func() {
		d.details, d.err = d.taken.Serve(d.ctx)
		d.server.Close()
	})
	return d
}

// end waits for the session's end and returns what Serve did.
func (d *direct) end() (string, error) {
	d.serving.Wait()
	d.taken.Release()
	return d.details, d.err
}

func (d *direct) close() {
	d.client.Close()
	d.server.Close()
}

func (d *direct) send(text string) {
	d.t.Helper()
	if _, err := io.WriteString(d.client, text); err != nil {
		d.t.Fatal(err)
	}
}

// expect reads that text.
func (d *direct) expect(text string) {
	d.t.Helper()
	b := make([]byte, len(text))
	if n, err := io.ReadFull(d.client, b); err != nil || string(b) != text {
		d.t.Fatalf("got %q, %v; want %q", b[:n], err, text)
	}
}

func (d *direct) readAll() string {
	d.t.Helper()
	answer, err := io.ReadAll(d.client)
	if err != nil {
		d.t.Fatalf("after %q: %v", answer, err)
	}
	return string(answer)
}

// run serves a client that sends nothing, and returns the answer.
func run(t testing.TB, o command.Options) string {
	t.Helper()
	d := take(t, newRoute(t, o)).serve()
	answer := d.readAll()
	d.client.Close()
	if details, err := d.end(); details != "" || err != nil {
		t.Fatalf("after %q it ended with %q, %v", answer, details, err)
	}
	return answer
}

// eventually fails the test unless the condition comes true.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for limit := time.Now().Add(patience); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("it never came true: %s", what)
		}
	}
}

// publicDir is a directory that every user may enter.
func publicDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "command")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t testing.TB, path, text string, mode os.FileMode) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// expectPID reads a line that is a process id, and ends that process with the test at the latest.
func (d *direct) expectPID() int {
	d.t.Helper()
	var line []byte
	for b := make([]byte, 1); !bytes.HasSuffix(line, []byte("\n")); line = append(line, b...) {
		if _, err := io.ReadFull(d.client, b); err != nil {
			d.t.Fatalf("after %q: %v", line, err)
		}
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(line)))
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() {
		if lives(pid) {
			syscall.Kill(pid, syscall.SIGKILL)
			eventually(d.t, "it was killed", func() bool { return !lives(pid) })
		}
	})
	return pid
}

// isReset says whether reading ends in a reset.
func isReset(client net.Conn) bool {
	_, err := io.Copy(io.Discard, client)
	return err != nil && strings.Contains(err.Error(), "reset")
}

// A logBuffer is a log that can be read while it is written.
type logBuffer struct{ logtest.Buffer }

func (l *logBuffer) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func asRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal("CI runs as root: only root can test this")
	}
	t.Skip("only root can do this")
}
