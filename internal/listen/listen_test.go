package listen_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"jackfield/internal/listen"
	"jackfield/internal/logtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type handlerFunc func(context.Context, *listen.Client)

func (f handlerFunc) Serve(ctx context.Context, c *listen.Client) { f(ctx, c) }

// serve runs a server for the time of the test and returns its address.
func serve(t *testing.T, s *listen.Server) string {
	t.Helper()
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	s.Name, s.Address = "test", "127.0.0.1:0"
	sockets := newSockets(t)
	if err := sockets.Swap([]*listen.Server{s}); err != nil {
		t.Fatal(err)
	}
	return sockets.Addr(s).String()
}

func newSockets(t *testing.T) *listen.Sockets {
	ctx, stop := context.WithCancel(context.Background())
	sockets := listen.NewSockets(ctx)
	t.Cleanup(func() { stop(); sockets.StopAccepting(); sockets.Wait() })
	return sockets
}

func dial(t *testing.T, address string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	t.Cleanup(func() { conn.Close() })
	return conn.(*net.TCPConn)
}

// The answer arrives although the client has sent more than anybody reads.
func TestFarewellSurvivesUnreadBytes(t *testing.T) {
	sent := make(chan struct{})
	address := serve(t, &listen.Server{Handler: handlerFunc(func(_ context.Context, c *listen.Client) {
		<-sent
		c.Farewell(func(w io.Writer) error { _, err := io.WriteString(w, "-no\r\n"); return err })
	})})
	conn := dial(t, address)
	if _, err := conn.Write(make([]byte, 3<<10)); err != nil {
		t.Fatal(err)
	}
	close(sent)
	answer := make([]byte, 5)
	if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != "-no\r\n" {
		t.Fatalf("got %q, %v", answer, err)
	}
	if n, err := conn.Read(answer); n != 0 || err != io.EOF {
		t.Errorf("after the answer: %d bytes, %v; want the end of the stream", n, err)
	}
}

func TestResetIsSeen(t *testing.T) {
	connected := make(chan struct{}) // a reset before that would be the dialler's
	address := serve(t, &listen.Server{Handler: handlerFunc(func(_ context.Context, c *listen.Client) {
		<-connected
		c.Reset()
	})})
	conn := dial(t, address)
	close(connected)
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a reset", err)
	}
}

// tellSource answers with the addresses that policies would go by.
var tellSource = handlerFunc(func(_ context.Context, c *listen.Client) {
	c.Farewell(func(w io.Writer) error { _, err := fmt.Fprintf(w, "%s to %s", c.Source, c.Local); return err })
})

func TestProxyHeader(t *testing.T) {
	const header = "PROXY TCP4 192.0.2.7 192.0.2.1 4711 23\r\n"
	for _, test := range []struct {
		name, trusted, sent, want string
	}{
		{"trusted", "127.0.0.0/8", header, "192.0.2.7:4711 to 192.0.2.1:23"},
		{"untrusted", "10.0.0.0/8", header, "127.0.0.1:"},
		{"trusted without a header", "127.0.0.0/8", "GET / HTTP/1.0\r\n\r\n", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var log logtest.Buffer
			address := serve(t, &listen.Server{
				Handler:   tellSource,
				Log:       slog.New(slog.NewTextHandler(&log, nil)),
				ProxyFrom: []netip.Prefix{netip.MustParsePrefix(test.trusted)},
			})
			conn := dial(t, address)
			io.WriteString(conn, test.sent)
			got, err := io.ReadAll(conn)
			if test.want == "" {
				if !errors.Is(err, syscall.ECONNRESET) || strings.Count(log.String(), "\n") != 1 {
					t.Errorf("got %q, %v, log %q; want a reset and one line", got, err, log.String())
				}
				return
			}
			if err != nil || !strings.HasPrefix(string(got), test.want) {
				t.Errorf("got %q, %v; want %q", got, err, test.want)
			}
		})
	}
}

// Wait waits for handlers, which learn of the end by their context.
func TestWaitWaitsForHandlers(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	sockets := listen.NewSockets(ctx)
	entered, left := make(chan struct{}), false
	s := &listen.Server{Address: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler), Handler: handlerFunc(func(ctx context.Context, c *listen.Client) {
		close(entered)
		<-ctx.Done()
		c.Conn.Close()
		left = true
	})}
	if err := sockets.Swap([]*listen.Server{s}); err != nil {
		t.Fatal(err)
	}
	dial(t, sockets.Addr(s).String())
	<-entered
	sockets.StopAccepting()
	stop()
	sockets.Wait()
	if !left {
		t.Error("Wait returned before a handler did")
	}
}
