package admin

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"jackfield"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A table is what a gateway would have.
type table struct {
	mu       sync.Mutex
	sessions []Session
	cut      map[string]string // id -> why
	reloads  int
}

func (l *table) List() []Session {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.sessions)
}

// Reload accepts a configuration once.
func (l *table) Reload() (Reloaded, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reloads++; l.reloads > 1 {
		return Reloaded{}, jackfield.Refuse(jackfield.Invalid, "jackfield.hcl:3: bad\n  and worse", nil)
	}
	return Reloaded{Generation: 2, Cut: 1, Warnings: "careful"}, nil
}

func (l *table) Devices() []Device {
	source := netip.MustParseAddrPort("192.0.2.9:1")
	return []Device{{Name: "b"}, {Name: "a", Connected: true, Since: &started, Source: &source, Streams: 2}}
}

// Why knows one service.
func (l *table) Why(_ context.Context, q Question) (Explanation, error) {
	if q.Service != "web" {
		return Explanation{}, jackfield.Refuse(jackfield.NotFound, "no such service", nil)
	}
	return Explanation{Service: q.Service, Verdict: "denied", Checks: []Check{
		{1, q.Listener, "address", "failed", "acl.global[0]", q.Source.String() + q.User + q.Time.String()},
	}}, nil
}

func (l *table) Disconnect(id, why string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.sessions, func(s Session) bool { return s.ID == id })
	if i < 0 {
		return false
	}
	l.sessions = slices.Delete(l.sessions, i, i+1)
	l.cut[id] = why
	return true
}

var started = time.Date(2026, 11, 22, 5, 0, 0, 0, time.UTC)

func newTable() *table {
	return &table{cut: map[string]string{}, sessions: []Session{
		{ID: "b2", Listener: "mux", Service: "time", Started: started.Add(time.Minute)},
		{
			ID: "a/1", Listener: "mux", Protocol: "tcpmux", Source: netip.MustParseAddrPort("192.0.2.7:4711"),
			User: "ada", Service: "console.fpga-1", Route: "dial 127.0.0.1:80", Started: started,
			BytesFromClient: 3, BytesFromService: 1 << 40,
		},
	}}
}

var quiet = slog.New(slog.DiscardHandler)

// shortPath is a path in a directory of its own that fits into a socket's address, as t.TempDir's may not.
func shortPath(t *testing.T) string {
	t.Helper()
	directory, err := os.MkdirTemp("", "jf")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(directory) })
	return filepath.Join(directory, SocketName)
}

// serve runs the server until the test's end, or until stop.
func serve(t *testing.T, server *Server, err error) (stop func()) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve() }()
	stop = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func serveSocket(t *testing.T, path string, control Control) (stop func()) {
	t.Helper()
	server, err := ListenSocket(path, control, Status{Version: "1.2.3", PID: 7, Started: started}, quiet)
	return serve(t, server, err)
}
