package tcpmux

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestNameDeadline: the time is for the whole name, and is over when the name is there.
func TestNameDeadline(t *testing.T) {
	for name, interval := range map[string]time.Duration{
		"silent":            time.Hour,
		"a byte per second": time.Second,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, server := memoryPair()
				defer server.Close()
				var peer sync.WaitGroup
				peer.Go(func() { trickle(client, interval) })
				start := time.Now()
				if _, _, err := ReadName(server, 0); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("error %v, want a deadline", err)
				}
				if took := time.Since(start); took != DefaultNameTimeout {
					t.Errorf("took %v, want %v", took, DefaultNameTimeout)
				}
				client.Close()
				peer.Wait()
			})
		})
	}
	t.Run("cleared", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			client, server := memoryPair()
			go func() {
				io.WriteString(client, "name\r\n")
				time.Sleep(2 * DefaultNameTimeout) // in the bubble's time
				io.WriteString(client, "data")
				client.CloseWrite()
			}()
			_, rest, err := ReadName(server, 0)
			check(t, err)
			if data, err := io.ReadAll(rest); err != nil || string(data) != "data" {
				t.Errorf("data %q, %v", data, err)
			}
		})
	})
}

// trickle sends one byte per interval until the connection breaks.
func trickle(conn net.Conn, interval time.Duration) {
	for {
		time.Sleep(interval)
		if _, err := conn.Write([]byte("a")); err != nil {
			return
		}
	}
}

// TestNameDeadlineOverTransports is the same where time is real: a deadline per read would never pass here, and the name
// would become too long.
func TestNameDeadlineOverTransports(t *testing.T) {
	overTransports(t, func(t *testing.T, connect pairs) {
		client, server := connect()
		var peer sync.WaitGroup
		peer.Go(func() { trickle(client, 2*time.Millisecond) })
		if _, _, err := ReadName(server, 50*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("error %v, want a deadline", err)
		}
		// No deadline is left behind: the trickle can be read.
		if _, err := io.ReadFull(server, make([]byte, 10)); err != nil {
			t.Errorf("after the deadline: %v", err)
		}
		server.Close()
		client.Close()
		peer.Wait()
	})
}

// A meter counts what is read through it.
type meter struct {
	halfConn
	read int
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.halfConn.Read(p)
	m.read += n
	return n, err
}

func TestNeverEndingLines(t *testing.T) {
	for name, peer := range map[string]struct {
		request string // of the role under test; read first
		begin   string
		use     func(net.Conn) error
		most    int // bytes that may be read
	}{
		"name":  {use: readName, most: MaxName + 2},
		"reply": {request: "x\r\n", begin: "+", use: open, most: MaxReply + 2},
		"list":  {request: "help\r\n", use: list, most: MaxReply + 2},
		"names": {request: "help\r\n", begin: strings.Repeat("name\n", MaxListed), use: list, most: MaxList + MaxReply},
	} {
		t.Run(name, func(t *testing.T) {
			overTransports(t, func(t *testing.T, connect pairs) {
				remote, local := connect()
				var tasks sync.WaitGroup
				tasks.Go(func() {
					io.ReadFull(remote, make([]byte, len(peer.request)))
					io.WriteString(remote, peer.begin)
					for err := error(nil); err == nil; {
						_, err = remote.Write([]byte("aaaaaaaaaaaaaaaa"))
					}
				})
				metered := &meter{halfConn: local}
				if err := peer.use(metered); !errors.Is(err, ErrTooLong) {
					t.Errorf("error %v, want %v", err, ErrTooLong)
				}
				if metered.read > peer.most {
					t.Errorf("%d bytes were read, at most %d may be", metered.read, peer.most)
				}
				local.Close()
				remote.Close()
				tasks.Wait()
			})
		})
	}
}

func readName(conn net.Conn) error {
	_, _, err := ReadName(conn, time.Minute)
	return err
}

func open(conn net.Conn) error {
	_, _, err := Open(context.Background(), conn, "x")
	return err
}

func list(conn net.Conn) error {
	_, err := List(context.Background(), conn)
	return err
}

// TestRefusedBeforeTheName: a server that refuses the address does not wait for the name; its answer is still heard.
func TestRefusedBeforeTheName(t *testing.T) {
	for _, tr := range transports[1:] { // the memory transport has no buffer: nobody could go first
		t.Run(tr.name, func(t *testing.T) {
			client, server := tr.listen(t)()
			defer client.Close()
			defer server.Close()
			check(t, WriteReject(server, "Not from there"))
			check(t, server.CloseWrite())
			_, _, err := Open(t.Context(), client, "name")
			checkRefusal(t, err, nil, "Not from there")
		})
	}
}

func TestContext(t *testing.T) {
	cause := errors.New("no longer wanted")
	overTransports(t, func(t *testing.T, connect pairs) {
		for name, use := range map[string]func(context.Context, net.Conn) error{
			"Open": func(ctx context.Context, conn net.Conn) error { _, _, err := Open(ctx, conn, "x"); return err },
			"List": func(ctx context.Context, conn net.Conn) error { _, err := List(ctx, conn); return err },
		} {
			client, server := connect()
			ctx, cancel := context.WithCancelCause(t.Context())
			var peer sync.WaitGroup
			peer.Go(func() { // takes the request and says nothing
				server.Read(make([]byte, MaxName))
				cancel(cause)
			})
			if err := use(ctx, client); !errors.Is(err, cause) {
				t.Errorf("%s: error %v, want the cause", name, err)
			}
			peer.Wait()
			client.Close()
			server.Close()
		}
	})
}
