//go:build unix

package relay

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"jackfield"
)

// A role is one end of a line, the other end, and what the session's end is called when that one breaks.
type role struct {
	name, broken string
	of           func(*line) (self, other jackfield.Stream)
}

var roles = []role{
	{"client", jackfield.EndClientReset, func(l *line) (self, other jackfield.Stream) { return l.client, l.service }},
	{"service", jackfield.EndServiceReset, func(l *line) (self, other jackfield.Stream) { return l.service, l.client }},
}

// expectDead expects that the connection was reset after its EOF: a first write already fails. (After a mere FIN from
// both sides it would succeed.)
func expectDead(t *testing.T, w io.Writer) {
	t.Helper()
	_, err := w.Write([]byte("x"))
	if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("write: %v; want a reset", err)
	}
}

func TestResetIsPassedOn(t *testing.T) {
	t.Parallel()
	for _, r := range roles {
		t.Run(r.name+" at once", func(t *testing.T) {
			l := join(t, t.Context(), tcpPair, tcpPair, Options{})
			self, other := r.of(l)
			reset(self)
			expectReset(t, other)
			l.ends(r.broken, 0, 0)
		})
		t.Run(r.name+" after an exchange", func(t *testing.T) {
			l := join(t, t.Context(), tcpPair, tcpPair, Options{})
			self, other := r.of(l)
			pass(t, l.client, l.service, "hello")
			pass(t, l.service, l.client, "hello")
			reset(self)
			expectReset(t, other)
			l.ends(r.broken, 5, 5)
		})
		t.Run(r.name+" after the other's half-close", func(t *testing.T) {
			l := join(t, t.Context(), tcpPair, tcpPair, Options{})
			self, other := r.of(l)
			must(t, other.CloseWrite())
			expectEOF(t, self)
			reset(self)
			expectReset(t, other)
			l.ends(r.broken, 0, 0)
		})
		t.Run(r.name+" after its own half-close", func(t *testing.T) {
			l := join(t, t.Context(), tcpPair, tcpPair, Options{})
			self, other := r.of(l)
			must(t, self.CloseWrite())
			expectEOF(t, other)
			reset(self)
			l.ends(r.broken, 0, 0)
			expectDead(t, other)
		})
		t.Run(r.name+" while the other does not read", func(t *testing.T) {
			l := join(t, t.Context(), tcpPair, tcpPair, Options{})
			self, other := r.of(l)
			blockedWriter(t, self)
			reset(self)
			sent := int64(len(expectReset(t, other)))
			if end := l.wait(); end.Cause != r.broken || end.Details == "" {
				t.Errorf("end = %+v, want %q with details", end, r.broken)
			}
			if sent != l.live.Transfer().FromClient+l.live.Transfer().FromService {
				t.Errorf("%d bytes arrived, counted are %+v", sent, l.live.Transfer())
			}
		})
	}
}

// A session whose one side is gone and whose other side takes nothing ends all the same.
func TestResetWhileTheOtherNeverReads(t *testing.T) {
	t.Parallel()
	for _, r := range roles {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel() // each takes as long as a reset may go unseen, and as long as bytes may take to settle
			l := join(t, t.Context(), tcpPair, tcpPair, Options{})
			self, _ := r.of(l)
			blockedWriter(t, self)
			reset(self)
			if end := l.wait(); end.Cause != r.broken || end.Details == "" {
				t.Errorf("end = %+v, want %q with details", end, r.broken)
			}
		})
	}
}

func TestBothReset(t *testing.T) {
	l := join(t, t.Context(), tcpPair, tcpPair, Options{})
	pass(t, l.client, l.service, "hello")
	var together sync.WaitGroup
	together.Go(func() { reset(l.client) })
	together.Go(func() { reset(l.service) })
	together.Wait()
	if end := l.wait(); end.Cause != jackfield.EndClientReset && end.Cause != jackfield.EndServiceReset {
		t.Errorf("end = %+v", end)
	}
}

// noted is a stream that counts what Join passed on as an end. Its far end cannot tell whether it saw an end or a reset
// while it writes: on Linux the write may take the error, and then the read sees EOF.
type noted struct {
	*net.TCPConn
	ends atomic.Int32
}

func (n *noted) CloseWrite() error {
	n.ends.Add(1)
	return n.TCPConn.CloseWrite()
}

// The service answers and goes away, in several ways, while the client is still sending and has read nothing yet.
func TestEarlyAnswerArrives(t *testing.T) {
	answer := randomBytes(1, 1<<20)
	tests := map[string]struct {
		leave func(service jackfield.Stream)
		ends  int32 // whether the client may take the answer for complete
	}{
		"closed": {func(s jackfield.Stream) { s.CloseWrite(); s.Close() }, 1},
		"reset":  {func(s jackfield.Stream) { reset(s) }, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var client *noted
			l := join(t, t.Context(), func(t testing.TB) (near, far jackfield.Stream) {
				near, far = tcpPair(t)
				client = &noted{TCPConn: near.(*net.TCPConn)}
				return client, far
			}, tcpPair, Options{})
			pass(t, l.client, l.service, "a request that never ends: ")
			_, err := l.service.Write(answer)
			must(t, err)
			eventually(t, "the relay has the answer", func() bool {
				return l.live.Transfer().FromService == int64(len(answer))
			})
			var sending sync.WaitGroup
			sending.Go(func() { // until the reset
				for block := make([]byte, 64<<10); ; {
					if _, err := l.client.Write(block); err != nil {
						return
					}
				}
			})
			test.leave(l.service)

			got, err := io.ReadAll(l.client)
			if !bytes.Equal(got, answer) {
				t.Errorf("%d of %d bytes arrived, then %v", len(got), len(answer), err)
			}
			if end := l.wait(); end.Cause != jackfield.EndServiceReset {
				t.Errorf("end = %+v", end)
			}
			if ends := client.ends.Load(); ends != test.ends {
				t.Errorf("the client was told %d times that the answer is complete, want %d", ends, test.ends)
			}
			sending.Wait()
		})
	}
}

// A service that takes no more may still have much to say; a client that sends before it reads must get to that.
func TestServiceStopsReading(t *testing.T) {
	l := join(t, t.Context(), tcpPair, unixPair, Options{})
	must(t, l.service.(*net.UnixConn).CloseRead())
	request := make([]byte, 16<<20)
	_, err := l.client.Write(request)
	must(t, err)
	pass(t, l.service, l.client, "not that much, please")
	must(t, l.service.Close())
	expectEOF(t, l.client)
	l.ends(jackfield.EndServiceReset, 0, 21)
	expectDead(t, l.client)
}

// When a write takes the error from the socket, the read after it sees EOF: that must never look like an answer's end.
func TestResetNeverLooksLikeAnEnd(t *testing.T) {
	t.Parallel()
	for name, service := range map[string]wire{"tcp": tcpPair, "unix": unixPair} {
		t.Run(name, func(t *testing.T) {
			for range 60 {
				var client *noted
				l := join(t, t.Context(), func(t testing.TB) (near, far jackfield.Stream) {
					near, far = tcpPair(t)
					client = &noted{TCPConn: near.(*net.TCPConn)}
					return client, far
				}, service, Options{})
				var sending sync.WaitGroup
				sending.Go(func() {
					for block := make([]byte, 8<<10); ; {
						if _, err := l.client.Write(block); err != nil {
							return
						}
					}
				})
				_, err := io.ReadFull(l.service, make([]byte, 4<<10)) // so that there is something unread
				must(t, err)
				io.WriteString(l.service, "half an ans")
				reset(l.service)
				if got, _ := io.ReadAll(l.client); string(got) != "half an ans" {
					t.Fatalf("client read %q", got)
				}
				sending.Wait()
				if end := l.wait(); end.Cause != jackfield.EndServiceReset || client.ends.Load() != 0 {
					t.Fatalf("end = %+v, the client was told %d times that the answer is complete", end, client.ends.Load())
				}
			}
		})
	}
}

// A truncated stream was cut off on its way, as a TLS stream without close_notify is.
type truncated struct{ jackfield.Stream }

func (c truncated) Read(p []byte) (int, error) {
	n, err := c.Stream.Read(p)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func TestTruncationIsAReset(t *testing.T) {
	cut := func(t testing.TB) (near, far jackfield.Stream) {
		near, far = memoryPair(t)
		return truncated{near}, far
	}
	l := join(t, t.Context(), cut, tcpPair, Options{})
	pass(t, l.client, l.service, "hello")
	must(t, l.client.Close())
	expectReset(t, l.service)
	l.ends(jackfield.EndClientReset, 5, 0)
}
