package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"jackfield"
)

// Before a reset follows them, bytes that were passed on may arrive. settleTime is how long none of them may move;
// settleTick, how often that is looked at: the kernel tells nobody.
const (
	settleTime = 5 * time.Second
	settleTick = 5 * time.Millisecond
)

// A session is two peers and what is known of how it ends.
type session struct {
	ctx             context.Context
	live            *Counters
	client, service *peer
	over            chan struct{} // closed when the session is over: nothing that happens to the streams matters any more
	settling        sync.WaitGroup

	mu   sync.Mutex
	lost *peer         // whose connection broke first
	end  jackfield.End // the first reason stays
}

func (s *session) other(p *peer) *peer {
	if p == s.client {
		return s.service
	}
	return s.client
}

// pass runs one direction: it copies until that ends, then looks out for a reset until the other direction has ended too.
func (s *session) pass(from, to *peer, count *atomic.Int64) {
	s.copy(from, to, count)
	if s.finished(from) {
		return
	}
	gone, err := from.awaitReset()
	switch {
	case err != nil && from.ending.Load(): // what it means is closeWrite's to say
	case err != nil:
		s.broke(from, err)
	case gone:
		s.leave(s.other(from))
	}
}

// leave ends the session from a side whose other side is gone, in order: once everything written to it has arrived, it has a
// little time to end its direction. An answer that is on its way would be lost in a Close of a stream with unread bytes.
func (s *session) leave(p *peer) {
	p.leaving.Do(func() {
		s.settling.Go(func() {
			s.settle(p)
			p.linger()
		})
	})
}

// copy passes on what from sends until one of the two does not go on. What from sends after to has refused more is
// dropped: unread bytes would turn the Close of from into a reset that overtakes the last answer to it.
func (s *session) copy(from, to *peer, count *atomic.Int64) {
	in := newReader(from)
	defer in.release()
	for {
		chunk, err := in.next()
		if len(chunk) > 0 && to.refusal() == nil {
			n, refusal := s.write(from, to, chunk)
			count.Add(int64(n))
			if refusal != nil {
				s.refused(to, refusal)
			}
		}
		in.release()
		switch {
		case err == nil:
		case errors.Is(err, io.EOF), from.lingered(err):
			s.endOf(from, to)
			return
		default:
			s.broke(from, err)
			return
		}
	}
}

// Write deadlines are armed that far ahead, and anew when half of that has passed: a clock is read for each chunk, a timer
// set twice a second at most.
const lookTime = 2 * time.Second

var errGone = errors.New("connection broke while the other side took no bytes")

// write writes a chunk to a peer, however long that takes. Meanwhile it looks whether the one who sent it is still there: a
// reset behind bytes that nobody takes would be seen by no read. (The deadline of a TLS stream cannot be used for that: one
// that has passed breaks the stream. There a timer looks.)
func (s *session) write(from, to *peer, chunk []byte) (written int, err error) {
	for to.bare {
		s.arm(to)
		n, err := to.write(chunk[written:])
		written += n
		if !errors.Is(err, os.ErrDeadlineExceeded) || s.expired(err) {
			return written, err
		}
		if from.hasError() {
			s.broke(from, errGone)
		}
	}
	from.lookout.begin(s, from)
	defer from.lookout.end()
	return to.write(chunk)
}

// arm sets the write deadline, not beyond the context's.
func (s *session) arm(to *peer) {
	now := time.Now()
	if to.armed.Sub(now) > lookTime/2 {
		return
	}
	to.armed = now.Add(lookTime)
	deadline := to.armed
	if end, ok := s.ctx.Deadline(); ok && end.Before(deadline) {
		deadline = end
	}
	_ = to.stream.SetWriteDeadline(deadline) // fails on a closed socket, as the write will tell
}

// endOf passes the end of from's direction on.
func (s *session) endOf(from, to *peer) {
	if err := from.disguisedReset(); err != nil {
		s.broke(from, err)
		return
	}
	if s.isOver() || to.refusal() != nil { // a cut has closed from, perhaps before it was looked at: its end may be none
		return
	}
	if err := to.closeWrite(); err != nil {
		s.refused(to, err)
	}
}

// refused notes that p takes no more bytes. What it still sends is passed on; if that has ended, p is lost.
func (s *session) refused(p *peer, err error) {
	if s.expired(err) {
		return
	}
	s.mu.Lock()
	ended := p.ended
	s.mu.Unlock()
	if ended {
		s.gone(p, err)
	}
}

// gone notes that p, whose direction has ended, takes no more bytes.
func (s *session) gone(p *peer, err error) {
	if p.program {
		s.leave(s.other(p))
		return
	}
	s.broke(p, err)
}

// finished notes that nothing more is read from p. When both directions have ended in order it closes the streams and
// reports true.
func (s *session) finished(p *peer) bool {
	s.mu.Lock()
	p.ended = true
	s.mu.Unlock()
	if err := p.refusal(); err != nil {
		s.gone(p, err)
	}

	s.mu.Lock()
	done := s.client.ended && s.service.ended && s.lost == nil && s.conclude(jackfield.End{Cause: jackfield.EndFinished})
	s.mu.Unlock()
	if done {
		_ = s.client.stream.Close()
		_ = s.service.stream.Close()
	}
	return done
}

// broke ends the session because the connection to p broke. The other side is reset, once it has what p sent before;
// until then both directions go on, as far as they can.
func (s *session) broke(p *peer, err error) {
	if s.expired(err) {
		return
	}
	end := jackfield.End{Cause: p.broken, Details: fmt.Sprintf("%s: %v", p.name, err)}
	s.mu.Lock()
	lost, over := s.lost, s.isOver()
	if lost == nil && !over {
		s.lost, s.end = p, end
	}
	s.mu.Unlock()

	other := s.other(p)
	switch {
	case over, lost == p: // whoever saw it first is at work
	case lost == nil && other.unsettled():
		s.settling.Go(func() {
			s.settle(other)
			s.cut(end)
		})
	default:
		s.cut(end)
	}
}

// settle waits until everything written to p has arrived there, the session is over, or nothing moves for too long.
func (s *session) settle(p *peer) {
	limit := time.NewTimer(settleTime)
	defer limit.Stop()
	tick := time.NewTicker(settleTick)
	defer tick.Stop()
	for last := p.queued(); p.unsettled(); {
		select {
		case <-tick.C:
		case <-limit.C:
			return
		case <-s.over:
			return
		}
		if now := p.queued(); now != last {
			last = now
			limit.Reset(settleTime)
		}
	}
}

// expired tells an error that is the context's deadline, which is also set on the streams, from any other. If so, the
// session is cut.
func (s *session) expired(err error) bool {
	deadline, ok := s.ctx.Deadline()
	if !ok || !errors.Is(err, os.ErrDeadlineExceeded) || time.Now().Before(deadline) {
		return false
	}
	<-s.ctx.Done() // due by now; only then is the cause known
	s.cancelled()
	return true
}

// cancelled cuts the session for the cause of its context.
func (s *session) cancelled() {
	cause := context.Cause(s.ctx)
	if errors.Is(cause, context.DeadlineExceeded) {
		s.cut(jackfield.End{Cause: jackfield.EndLifetime})
		return
	}
	s.cut(jackfield.End{Cause: cause.Error()})
}

// cut ends the session at once and resets both sides. Only the first end of a session counts.
func (s *session) cut(end jackfield.End) {
	s.mu.Lock()
	done := s.conclude(end)
	s.mu.Unlock()
	if done {
		reset(s.client.stream)
		reset(s.service.stream)
	}
}

// conclude makes the session over, unless it is already. The caller holds mu.
func (s *session) conclude(end jackfield.End) bool {
	if s.isOver() {
		return false
	}
	if s.lost == nil {
		s.end = end
	}
	close(s.over)
	return true
}

func (s *session) isOver() bool {
	select {
	case <-s.over:
		return true
	default:
		return false
	}
}
