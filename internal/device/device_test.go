package device

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"jackfield/wire/mihini"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAllowList(t *testing.T) {
	list, err := ParseAllowList([]string{":23", "plc.Local:502", "[::1]:8000-8010", "192.168.1.0/24:80"})
	if err != nil {
		t.Fatal(err)
	}
	for address, allowed := range map[string]bool{
		"127.0.0.1:23":          true,
		"[::ffff:127.0.0.1]:23": true,
		"127.0.0.1:24":          false,
		"127.0.0.2:23":          false,
		"localhost:23":          false,
		"PLC.local:502":         true,
		"plc.local.:502":        false,
		"plc:502":               false,
		"[::1]:8000":            true,
		"[::1]:8010":            true,
		"[::1]:8011":            false,
		"[::1%lo]:8000":         false,
		"192.168.1.200:80":      true,
		"192.168.2.1:80":        false,
		"printer.local:80":      false,
		"192.168.1.1":           false,
		"192.168.1.1:http":      false,
		"":                      false,
	} {
		if got := list.Check(address) == nil; got != allowed {
			t.Errorf("%s: %v", address, list.Check(address))
		}
	}
	if err := (AllowList{}).Check("127.0.0.1:23"); !errors.Is(err, ErrNotOffered) {
		t.Errorf("an empty list: %v", err)
	}
	for _, bad := range []string{"", "127.0.0.1", "127.0.0.1:0", "a:http", "::1:80", "10.0.0.0/33:80", "a:9-8", "*:23", "[fe80::1%lo]:22", "a:1-70000"} {
		if _, err := ParseAllowList([]string{bad}); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

// The device comes back when its link is lost, and reaches what it offers, nothing else.
func TestRun(t *testing.T) {
	service := listen(t)
	var serving sync.WaitGroup
	defer serving.Wait()
	defer service.Close()
	serving.Go(func() {
		for {
			conn, err := service.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { defer conn.Close(); io.Copy(conn, conn) })
		}
	})
	server := listen(t)
	allow, err := ParseAllowList([]string{service.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancelCause(t.Context())
	ended := make(chan error)
	go func() {
		ended <- Run(ctx, Options{Server: server.Addr().String(), Allow: allow, Log: slog.New(slog.DiscardHandler)})
	}()
	for range 2 {
		link := accept(t, server)
		if got := roundTrip(t, link, service.Addr().String()); got != "hello" {
			t.Errorf("the service's answer is %q", got)
		}
		if got := roundTrip(t, link, "127.0.0.1:1"); got != "" {
			t.Errorf("what is not offered answers %q", got)
		}
		link.end()
	}
	why := errors.New("enough")
	stop(why)
	if err := <-ended; !errors.Is(err, why) {
		t.Errorf("Run returned %v", err)
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

type serverLink struct {
	*mihini.Server
	end func()
}

func accept(t *testing.T, ln net.Listener) serverLink {
	t.Helper()
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	server, err := mihini.Accept(t.Context(), conn, mihini.ServerOptions{CloseDelay: -1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); server.Run(ctx) }()
	return serverLink{server, func() { cancel(); <-done }}
}

func roundTrip(t *testing.T, link serverLink, address string) string {
	t.Helper()
	target := mihini.Target{Address: "127.0.0.1", Port: 1}
	if host, port, err := net.SplitHostPort(address); err == nil {
		target.Address = host
		number, _ := net.LookupPort("tcp", port)
		target.Port = uint16(number)
	}
	stream, err := link.Open(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	stream.SetDeadline(time.Now().Add(30 * time.Second))
	io.WriteString(stream, "hello")
	stream.CloseWrite()
	answer, _ := io.ReadAll(stream)
	return string(answer)
}
