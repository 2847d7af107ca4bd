package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"jackfield"
	"jackfield/internal/client"
)

// forward runs a forwarder until the test's end, and returns its address and what it complains of.
func forward(t *testing.T, open func(context.Context) (jackfield.Stream, error)) (address string, told <-chan error) {
	t.Helper()
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	failures := make(chan error, 2*client.MaxForwarded)
	f := client.Forwarder{Listener: listener, Open: open, Failed: func(err error) { failures <- err }}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := f.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	return listener.Addr().String(), failures
}

func dialLocal(t *testing.T, address string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(time.Minute))
	t.Cleanup(func() { conn.Close() })
	return conn.(*net.TCPConn)
}

// readBroken connects, and reads until the reset, which may come before it knows that it is connected.
func readBroken(t *testing.T, address string) (string, error) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	text, err := io.ReadAll(conn)
	return string(text), err
}

func TestForwarder(t *testing.T) {
	f := newFake(t)
	f.tunnels["count:1"] = counted
	f.tunnels["torn:1"] = torn
	server := f.dialled(t)
	name := make(chan jackfield.Name, 1)
	address, told := forward(t, func(ctx context.Context) (jackfield.Stream, error) { return server.Dial(ctx, <-name) })

	name <- "count"
	local := dialLocal(t, address)
	local.Write(make([]byte, 1000))
	local.CloseWrite()
	if text, err := io.ReadAll(local); err != nil || string(text) != "1000 bytes, <nil>" || <-told != nil {
		t.Errorf("%q, %v", text, err)
	}

	name <- "torn"
	if text, err := readBroken(t, address); !errors.Is(err, syscall.ECONNRESET) || <-told != nil {
		t.Errorf("what was torn is %q, %v", text, err)
	}

	name <- "nosuch"
	if text, err := readBroken(t, address); !errors.Is(err, syscall.ECONNRESET) || len(text) > 0 {
		t.Errorf("what was refused is %q, %v", text, err)
	}
	if err := <-told; jackfield.AsError(err).Kind != jackfield.NotFound {
		t.Errorf("it complains of %v", err)
	}
}

// While the server does not answer, no more clients wait than there are places.
func TestForwarderIsBounded(t *testing.T) {
	waiting := make(chan struct{}, client.MaxForwarded+1)
	address, told := forward(t, func(ctx context.Context) (jackfield.Stream, error) {
		waiting <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	})
	for range client.MaxForwarded {
		dialLocal(t, address)
	}
	for range client.MaxForwarded {
		<-waiting
	}
	if _, err := readBroken(t, address); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("one too many: %v", err)
	}
	if err := <-told; err == nil || len(waiting) > 0 {
		t.Errorf("it complains of %v, and %d more were tried", err, len(waiting))
	}
}
