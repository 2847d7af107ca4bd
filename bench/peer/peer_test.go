//go:build linux

package peer

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"jackfield/bench/backend"
	"jackfield/bench/process"
	"jackfield/test/live"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stage makes a place that every user can enter, and a service.
func stage(t *testing.T, as User) (s Stage, service string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "peer-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { _ = backend.Serve(l) })
	supervisor := process.NewSupervisor()
	t.Cleanup(func() {
		supervisor.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := backend.WaitQuiet(ctx, l.Addr().String()); err != nil {
			t.Error(err)
		}
		l.Close()
		wg.Wait()
	})
	return Stage{Supervisor: supervisor, Dir: dir, User: as}, l.Addr().String()
}

func TestEveryPeerForwardsAsEveryUser(t *testing.T) {
	users, err := Users()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []Peer{HAProxy{}, Nginx{}, Socat{}} {
		for _, user := range users {
			t.Run(p.Name()+" as "+user.Name, func(t *testing.T) {
				if err := p.Installed(); err != nil {
					live.Missing(t, p.Name(), "run bench/peers.sh as root")
				}
				version, err := p.Version(t.Context())
				if err != nil || !strings.Contains(version, "ersion") {
					t.Errorf("version %q, %v", version, err)
				}
				s, service := stage(t, user)
				first, err := s.Start(t.Context(), p, service)
				if err != nil {
					t.Fatal(err)
				}
				second, err := first.Another(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				first.Stop()
				if err := second.forwards(t.Context()); err != nil {
					t.Errorf("one instance's end is the other's: %v", err)
				}
				if usage, err := second.Usage(); err != nil || usage.Resident == 0 || usage.Descriptors == 0 {
					t.Errorf("usage %+v, %v", usage, err)
				}
			})
		}
	}
}

func TestAPeerThatFailsShowsItsLog(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(broken, []byte("#!/bin/sh\necho no such option >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	s, service := stage(t, User{Name: "self"})
	_, err := s.Start(t.Context(), Jackfield{Binary: broken}, service)
	if err == nil || !strings.Contains(err.Error(), "no such option") || !strings.Contains(err.Error(), "ended at its start") {
		t.Errorf("the error is %v", err)
	}
}
