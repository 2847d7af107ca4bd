//go:build unix

package relay

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"jackfield"
)

// blockedWriter writes until no more fits in: everything between w and the other end's reader is full. What a machine that is busy
// holds up for a moment is not full: nothing at all must have fitted in.
func blockedWriter(t testing.TB, w jackfield.Stream) {
	t.Helper()
	block := make([]byte, 1<<20)
	for {
		must(t, w.SetWriteDeadline(time.Now().Add(200*time.Millisecond)))
		began := time.Now()
		n, err := w.Write(block)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && n == 0 && time.Since(began) > 100*time.Millisecond:
			must(t, w.SetWriteDeadline(time.Time{}))
			return
		case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
			t.Fatal(err)
		}
	}
}

// states are what a session can be doing when it is cut.
var states = map[string]func(t *testing.T, l *line){
	"idle": func(t *testing.T, l *line) {
		pass(t, l.client, l.service, "hello")
	},
	"blocked in a write": func(t *testing.T, l *line) {
		blockedWriter(t, l.client)
	},
	"blocked in both writes": func(t *testing.T, l *line) {
		blockedWriter(t, l.client)
		blockedWriter(t, l.service)
	},
	"after the client's half-close": func(t *testing.T, l *line) {
		must(t, l.client.CloseWrite())
		expectEOF(t, l.service)
	},
	"after the service's half-close": func(t *testing.T, l *line) {
		must(t, l.service.CloseWrite())
		expectEOF(t, l.client)
	},
}

// expectCut expects a reset at both ends; at an end that has seen EOF already only a write can tell.
func expectCut(t *testing.T, l *line) {
	t.Helper()
	for _, far := range []jackfield.Stream{l.client, l.service} {
		if _, err := io.Copy(io.Discard, far); err == nil {
			expectDead(t, far)
		} else if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("read: %v; want a reset", err)
		}
	}
}

// A piped stream is in memory.
type piped struct{ net.Conn }

func (piped) CloseWrite() error { return nil }

// A closable stream reads an end once it is closed, as a socket does that was reset if a write has taken the error.
type closable struct {
	piped
	closed chan struct{}
	once   sync.Once
}

func (c *closable) Read([]byte) (int, error) {
	<-c.closed
	return 0, io.EOF
}

func (c *closable) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.piped.Close()
}

// A faithful stream notes whether its direction was ended in order. It is closed late.
type faithful struct {
	piped
	ended  atomic.Bool
	client *closable
}

func (f *faithful) CloseWrite() error {
	f.ended.Store(true)
	return nil
}

// SetLinger is called when the stream is about to be reset; the client was, before.
func (f *faithful) SetLinger(int) error {
	<-f.client.closed
	synctest.Wait() // what comes of that has come
	return nil
}

// What the cut of a session does to one side is no end in order to the other one.
func TestCutEndsNothingInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, _ := net.Pipe()
		there, _ := net.Pipe()
		client := &closable{piped: piped{near}, closed: make(chan struct{})}
		service := &faithful{piped: piped{there}, client: client}
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			synctest.Wait()
			cancel(errors.New("cut"))
		}()
		if end := Join(ctx, client, service, new(Counters), Options{}); end.Cause != "cut" {
			t.Errorf("ended by %q", end.Cause)
		}
		if service.ended.Load() {
			t.Error("the service was told that the client has ended in order")
		}
	})
}

func TestCutByCancel(t *testing.T) {
	for name, reach := range states {
		t.Run(name, func(t *testing.T) {
			l := join(t, t.Context(), tcpPair, tcpPair, Options{})
			reach(t, l)
			l.cancel(errors.New("disconnected by admin"))
			if end := l.wait(); end != (jackfield.End{Cause: "disconnected by admin"}) {
				t.Errorf("end = %+v", end)
			}
			expectCut(t, l)
		})
	}
}

func TestCutWhileTheLastBytesSettle(t *testing.T) {
	cuts := map[string]func(*line){
		"by cancel":     func(l *line) { l.cancel(errors.New("disconnected by admin")) },
		"by the client": func(l *line) { reset(l.client) },
	}
	for name, cut := range cuts {
		t.Run(name, func(t *testing.T) {
			l := join(t, t.Context(), tcpPair, tcpPair, Options{})
			answer := make([]byte, 1<<20) // more than the client's TCP takes before its user reads
			_, err := l.service.Write(answer)
			must(t, err)
			eventually(t, "the relay has the answer", func() bool {
				return l.live.Transfer().FromService == int64(len(answer))
			})
			reset(l.service)
			cut(l)
			l.wait()
			got, err := io.Copy(io.Discard, l.client)
			if err == nil || got == int64(len(answer)) {
				t.Errorf("%d bytes arrived after the cut, then %v", got, err)
			}
		})
	}
}

func TestCutByDeadline(t *testing.T) {
	t.Parallel()
	for name, reach := range states {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // they wait for the same seconds, long enough to reach their states
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			l := join(t, ctx, tcpPair, tcpPair, Options{})
			reach(t, l)
			if end := l.wait(); end != (jackfield.End{Cause: jackfield.EndLifetime}) {
				t.Errorf("end = %+v", end)
			}
			expectCut(t, l)
		})
	}
}

func TestDeadlineWithACause(t *testing.T) {
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errors.New("the lease has ended"))
	defer cancel()
	l := join(t, ctx, tcpPair, tcpPair, Options{})
	l.ends("the lease has ended", 0, 0)
	expectCut(t, l)
}

func TestCancelledBeforehand(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l := join(t, ctx, tcpPair, tcpPair, Options{})
	l.ends(context.Canceled.Error(), 0, 0)
	expectCut(t, l)
}

func TestCutInMemory(t *testing.T) {
	l := join(t, t.Context(), memoryPair, memoryPair, Options{})
	pass(t, l.client, l.service, "hello")
	l.cancel(errors.New("shutdown"))
	l.ends("shutdown", 5, 0)
}

func TestIdle(t *testing.T) {
	l := join(t, t.Context(), tcpPair, tcpPair, Options{Idle: 100 * time.Millisecond})
	l.ends(jackfield.EndIdle, 0, 0)
	expectCut(t, l)
}

func TestIdleCountsFromTheLastByte(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		l := join(t, t.Context(), memoryPair, memoryPair, Options{Idle: time.Minute})
		for range 5 {
			time.Sleep(50 * time.Second)
			pass(t, l.client, l.service, "x")
			time.Sleep(50 * time.Second)
			pass(t, l.service, l.client, "x")
		}
		<-l.done
		if l.end.Cause != jackfield.EndIdle {
			t.Errorf("end = %+v", l.end)
		}
		if lived := time.Since(start); lived < 560*time.Second || lived > 575*time.Second {
			t.Errorf("cut after %v, want 560 s and at most a quarter of a minute more", lived)
		}
	})
}

// The reader's TCP has little room, so that it announces what becomes free in small steps; the relay's own socket has much,
// so that the relay itself has nothing to do for longer than the idle time. A reader that the machine holds up says nothing.
func TestNotIdleWhileASlowReaderTakesBytes(t *testing.T) {
	t.Parallel()
	for range 5 {
		if takesSlowly(t) {
			return
		}
	}
	t.Error("each time, the reader was held up")
}

// takesSlowly reports false if the reader has read so little, less than its TCP announces at once, that it was rightly taken for idle.
func takesSlowly(t *testing.T) (ok bool) {
	const (
		idle  = 2 * time.Second
		piece = 6 << 10
	)
	narrow := func(t testing.TB) (near, far jackfield.Stream) {
		near, far = tcpPair(t)
		must(t, far.(*net.TCPConn).SetReadBuffer(128<<10))
		return near, far
	}
	l := join(t, t.Context(), narrow, tcpPair, Options{Idle: idle})
	blockedWriter(t, l.service)
	var reads []time.Time
	for end := time.Now().Add(2 * idle); time.Now().Before(end); time.Sleep(15 * time.Millisecond) {
		if _, err := io.CopyN(io.Discard, l.client, piece); err != nil {
			late := slices.DeleteFunc(reads, func(at time.Time) bool { return time.Since(at) > idle })
			if len(late)*piece > 256<<10 {
				t.Fatalf("cut while bytes moved: %v", err)
			}
			t.Logf("the reader has read %d bytes in the last %v", len(late)*piece, idle)
			return false
		}
		reads = append(reads, time.Now())
	}
	if end := l.wait(); end.Cause != jackfield.EndIdle { // now nobody reads
		t.Errorf("end = %+v", end)
	}
	return true
}
