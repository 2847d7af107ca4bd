//go:build unix

package relay

import (
	"sync/atomic"
	"testing"

	"jackfield"
)

// A carried stream shares its connection with others.
type carried struct {
	jackfield.Stream
	stall  chan func()
	awaits atomic.Int64
}

func (c *carried) AfterStall(f func()) (stop func() bool) {
	c.stall <- f
	return func() bool {
		select {
		case <-c.stall:
			return true
		default:
			return false
		}
	}
}

func (c *carried) AwaitRead() { c.awaits.Add(1) }

// carry is a wire whose near end is carried.
func carry(c *carried) wire {
	return func(t testing.TB) (near, far jackfield.Stream) {
		near, far = tcpPair(t)
		c.Stream, c.stall = near, make(chan func(), 1)
		return c, far
	}
}

// A session whose client takes nothing ends when the carrier of its service says so, though a write waits.
func TestCutByStall(t *testing.T) {
	var c carried
	l := join(t, t.Context(), tcpPair, carry(&c), Options{})
	blockedWriter(t, l.service)
	go (<-c.stall)()
	if end := l.wait(); end.Cause != jackfield.EndStalled {
		t.Errorf("ended by %q", end.Cause)
	}
	if c.awaits.Load() == 0 {
		t.Error("the stream was read without waiting for it")
	}
}

func TestStallWatchEnds(t *testing.T) {
	var c carried
	l := join(t, t.Context(), tcpPair, carry(&c), Options{})
	pass(t, l.service, l.client, "through")
	must(t, l.client.CloseWrite())
	must(t, l.service.CloseWrite())
	if end := l.wait(); end.Cause != jackfield.EndFinished {
		t.Errorf("ended by %q", end.Cause)
	}
	if len(c.stall) > 0 {
		t.Error("the watch goes on")
	}
}
