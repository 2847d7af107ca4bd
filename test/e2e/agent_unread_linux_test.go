package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"jackfield/internal/api"
	"jackfield/test/live"
)

// How much may be sent to a client that reads nothing: what the sockets on the way hold; and how much more memory the server may have
// had than before. Without bounds it would be far more, for there is no end of what is sent.
const (
	unreadSent = 64 << 20
	unreadMore = 48 << 20
)

// TestAgentStreamUnread: a client that reads nothing at all of what a service sends without end holds up no other stream of the same
// agent, whichever way the bytes come: all of it arrives. The server keeps nothing of what is not read, and loses nothing of it.
func TestAgentStreamUnread(t *testing.T) {
	t.Parallel()
	w := startWell(t)
	f := newPaths(t, w.address)
	s := &site{f.office}
	for _, path := range dataPaths {
		f.draws(t, w, path, 4<<20) // so that what is needed once is there
	}
	before := s.peak(t)
	t.Run("paths", func(t *testing.T) {
		for n, path := range dataPaths {
			t.Run(path, func(t *testing.T) {
				t.Parallel()
				unread := slowClient(t, f.field())
				say(t, unread, fmt.Sprintf("%s\r\nunread %d\n", path, n))
				expect(t, unread, "+\r\n")
				sent := func() int64 { return w.sent[n].Load() }
				if !eventually(func() bool { return sent() > 0 }) {
					t.Fatal("nothing was sent")
				}
				settled(sent)
				f.draws(t, w, path, 64<<20)
				if got := sent(); got > unreadSent {
					t.Errorf("%d bytes were sent that nobody reads", got)
				}
				f.await(t, path, func(a *api.Agent) bool { return a.Streams == 1 })
				w.draw(t, unread, 1<<20)
				f.await(t, path, func(a *api.Agent) bool { return a.Streams == 0 })
			})
		}
	})
	if grown := s.peak(t) - before; grown > unreadMore {
		t.Errorf("the server has had %d bytes more than before", grown)
	}
}

// A well is a service that sends bytes without end: the same ones to everybody.
type well struct {
	address string
	sent    [4]atomic.Int64 // to those who say "unread" and their number
}

func startWell(t *testing.T) *well {
	t.Helper()
	w := new(well)
	address, stop, err := startBackend(func(_ context.Context, conn *net.TCPConn) {
		var n int
		var counted io.Writer = conn
		if _, err := fmt.Fscanf(conn, "unread %d\n", &n); err == nil {
			counted = writerFunc(func(p []byte) (int, error) {
				sent, err := conn.Write(p)
				w.sent[n].Add(int64(sent))
				return sent, err
			})
		}
		io.Copy(counted, w.water())
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	w.address = address
	return w
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func (w *well) water() io.Reader { return rand.NewChaCha8([32]byte{}) }

// draw reads so many bytes of a stream, which must be the right ones, and closes it.
func (w *well) draw(t *testing.T, c *client, size int64) {
	t.Helper()
	defer c.Close()
	c.SetDeadline(time.Now().Add(4 * live.Patience))
	got, want := sha256.New(), sha256.New()
	io.CopyN(want, w.water(), size)
	if n, err := io.CopyN(got, c, size); err != nil || !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
		t.Errorf("%d bytes came, or other ones: %v", n, err)
	}
}

// draws reads from a stream of its own.
func (f *fleet) draws(t *testing.T, w *well, path string, size int64) {
	t.Helper()
	w.draw(t, f.opens(t, path, "read\n"), size)
}
