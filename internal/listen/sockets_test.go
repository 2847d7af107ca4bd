package listen_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"jackfield/internal/listen"
)

// says answers every client with a word.
func says(name, address, word string) *listen.Server {
	return &listen.Server{
		Name: name, Address: address, Log: slog.New(slog.DiscardHandler),
		Handler: handlerFunc(func(_ context.Context, c *listen.Client) {
			c.Farewell(func(w io.Writer) error { _, err := io.WriteString(w, word); return err })
		}),
	}
}

func hear(t *testing.T, address string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Error(err) // not Fatal: others than the test's goroutine call it
		return ""
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	word, err := io.ReadAll(conn)
	if err != nil {
		t.Error(err)
	}
	return string(word)
}

func TestSwapKeepsSockets(t *testing.T) {
	sockets := newSockets(t)
	first, second := says("a", "127.0.0.1:0", "one"), says("a", "127.0.0.1:0", "two")
	if err := sockets.Swap([]*listen.Server{first}); err != nil {
		t.Fatal(err)
	}
	address := sockets.Addr(first).String()
	if got := hear(t, address); got != "one" {
		t.Errorf("heard %q", got)
	}
	if err := sockets.Swap([]*listen.Server{second}); err != nil {
		t.Fatal(err)
	}
	if got := sockets.Addr(second).String(); got != address {
		t.Errorf("the socket moved from %s to %s", address, got)
	}
	if got := hear(t, address); got != "two" {
		t.Errorf("heard %q", got)
	}
	if err := sockets.Swap(nil); err != nil {
		t.Fatal(err)
	}
	if conn, err := net.Dial("tcp", address); err == nil {
		conn.Close()
		t.Error("a socket that nobody wants still listens")
	}
}

func TestSwapThatFailsChangesNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	sockets := newSockets(t)
	old := says("a", "127.0.0.1:0", "old")
	if err := sockets.Swap([]*listen.Server{old}); err != nil {
		t.Fatal(err)
	}
	address := sockets.Addr(old).String()
	err = sockets.Swap([]*listen.Server{
		says("a", "127.0.0.1:0", "new"),
		says("b", "127.0.0.1:0", "b"),
		says("taken", taken.Addr().String(), "c"),
		says("wrong", "192.0.2.1:1", "d"),
	})
	if err == nil || !strings.Contains(err.Error(), `"taken"`) || !strings.Contains(err.Error(), `"wrong"`) {
		t.Errorf("got %v, want both listeners that could not be opened", err)
	}
	if got := hear(t, address); got != "old" {
		t.Errorf("heard %q", got)
	}
}

func TestBoundSocketsWaitForTheSwap(t *testing.T) {
	sockets := newSockets(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	adopted := says("adopted", ln.Addr().String(), "adopted")
	bound := says("bound", "127.0.0.1:0", "bound")
	sockets.Adopt(adopted, ln.(*net.TCPListener))
	for _, s := range []*listen.Server{adopted, bound} {
		if err := sockets.Bind(s); err != nil {
			t.Fatal(err)
		}
	}
	early := dial(t, ln.Addr().String()) // waits in the queue
	if err := sockets.Swap([]*listen.Server{adopted, bound}); err != nil {
		t.Fatal(err)
	}
	if word, err := io.ReadAll(early); err != nil || string(word) != "adopted" {
		t.Errorf("heard %q, %v", word, err)
	}
	if got := hear(t, sockets.Addr(bound).String()); got != "bound" {
		t.Errorf("heard %q", got)
	}
}

func TestNothingAfterStopAccepting(t *testing.T) {
	sockets := newSockets(t)
	sockets.StopAccepting()
	if err := sockets.Swap([]*listen.Server{says("a", "127.0.0.1:0", "a")}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

// No connection attempt is lost or refused while generations change.
func TestSwapLosesNobody(t *testing.T) {
	sockets := newSockets(t)
	generation := func() *listen.Server { return says("a", "127.0.0.1:0", "here") }
	first := generation()
	if err := sockets.Swap([]*listen.Server{first}); err != nil {
		t.Fatal(err)
	}
	address := sockets.Addr(first).String()
	var clients sync.WaitGroup
	var heard atomic.Int32
	const workers, each = 8, 50
	for range workers {
		clients.Go(func() {
			for range each {
				if hear(t, address) == "here" {
					heard.Add(1)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { clients.Wait(); close(done) }()
	for swapping := true; swapping; {
		select {
		case <-done:
			swapping = false
		default:
			if err := sockets.Swap([]*listen.Server{generation()}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := heard.Load(); n != workers*each {
		t.Errorf("%d of %d clients were served", n, workers*each)
	}
}
