package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"testing"

	"jackfield/test/live"
)

// The programs that can end their direction and go on reading. Python's ssl and OpenSSL's s_client cannot do that over TLS: the
// one sends close_notify only to drop what follows, the other never before it exits.
var halfClosers = []struct {
	program
	says string // of the service's end
}{
	{netcat(), ""},
	{python("fin"), "FIN"},
	{libssl("1.2", "notify"), "close_notify"},
	{libssl("1.3", "notify"), "close_notify"},
}

// TestConnectHalfClose: a program that ends its side first gets the whole answer, which begins only after that, each time.
func TestConnectHalfClose(t *testing.T) {
	t.Parallel()
	address, stop, err := startBackend(backends["reply"])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	b := newToolbox(t, map[string]string{"reply": address})
	for i, p := range halfClosers {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			client := b.client(t, fmt.Sprintf("user-%d", i), "reply")
			times := live.Times(20, 100)
			for n := range times {
				question := string(pattern(uint64(n), n*1021))
				r := b.start(t, p.program, client, live.Patience)
				go func() {
					io.WriteString(r.in, question)
					r.in.Close()
				}()
				answer, err := io.ReadAll(r.out)
				if string(answer) != "got "+question {
					t.Errorf("%d bytes were answered with %d, or others: %v", len(question), len(answer), err)
				}
				if err := r.wait(); err != nil || r.says() != p.says {
					t.Errorf("it ends with %v and says %q", err, r.says())
				}
			}
			b.expectEnds(t, client, inOrder, times)
		})
	}
}

// TestConnectServiceEndsFirst: what a program sends after the service's end arrives, to the program's own end.
func TestConnectServiceEndsFirst(t *testing.T) {
	t.Parallel()
	const last = 1 << 20
	ended, heard := make(chan *net.TCPConn), make(chan string)
	address, stop, err := startBackend(func(_ context.Context, conn *net.TCPConn) {
		io.WriteString(conn, "no more")
		conn.CloseWrite()
		ended <- conn
		text, err := io.ReadAll(conn)
		heard <- fmt.Sprint(len(text), string(text) == string(pattern(1, last)), err)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	b := newToolbox(t, map[string]string{"farewell": address})
	for i, p := range halfClosers[1:] { // nc ends when the service does
		t.Run(p.name, func(t *testing.T) {
			client := b.client(t, fmt.Sprintf("user-%d", i), "farewell")
			times := live.Times(5, 100)
			for range times {
				r := b.start(t, p.program, client, live.Patience)
				if answer, err := io.ReadAll(io.LimitReader(r.out, 7)); string(answer) != "no more" {
					t.Fatalf("it gets %q, %v", answer, err)
				}
				<-ended
				if _, err := r.in.Write(pattern(1, last)); err != nil {
					t.Fatal(err)
				}
				r.in.Close()
				if got := <-heard; got != fmt.Sprint(last, true, nil) {
					t.Errorf("the service gets %s", got)
				}
				if err := r.wait(); err != nil || r.says() != p.says {
					t.Errorf("it ends with %v and says %q", err, r.says())
				}
			}
			b.expectEnds(t, client, inOrder, times)
		})
	}
}
