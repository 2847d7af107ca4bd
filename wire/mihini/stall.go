package mihini

import "time"

// deliver puts DATA into its stream's queue. It waits for room, and closes the streams whose readers are too slow to
// make some. The caller holds mu, which is free while deliver waits.
func (l *link) deliver(s *Stream, p []byte) {
	for l.err == nil && !s.deaf {
		full := l.fullFor(s, len(p))
		if full == nil {
			s.in.write(p)
			l.queued += len(p)
			s.received += int64(len(p))
			s.readable.Signal()
			return
		}
		wait, stalled := full.stalled(time.Now())
		if stalled {
			l.stats.Stalled++
			full.abort(ErrStalled)
			continue
		}
		l.awaitRoom(wait)
	}
}

// fullFor returns the stream whose full queue keeps n bytes from s: its own or, where all queues together are full, the
// longest one. It returns nil if there is room.
func (l *link) fullFor(s *Stream, n int) *Stream {
	if s.in.size > 0 && s.in.size+n > l.o.Queue {
		return s
	}
	if l.queued+n <= l.o.LinkQueue {
		return nil
	}
	var longest *Stream
	for i := range l.slots {
		longest = longer(longest, l.slots[i].stream)
	}
	for left := range l.leftover {
		longest = longer(longest, left)
	}
	return longest
}

// longer returns the one with the longer queue, nil if both have none.
func longer(a, b *Stream) *Stream {
	switch {
	case b == nil || b.in.size == 0 || a != nil && a.in.size >= b.in.size:
		return a
	}
	return b
}

// stalled judges a stream whose queue is full: it has taken too little, or it may go on for wait.
func (s *Stream) stalled(now time.Time) (wait time.Duration, stalled bool) {
	if s.fullSince.IsZero() {
		s.fullSince, s.takenAtFull = now, s.taken
	}
	if wait = s.link.o.StallTimeout - now.Sub(s.fullSince); wait > 0 {
		return wait, false
	}
	if s.taken-s.takenAtFull < int64(s.link.o.StallBytes) {
		return 0, true
	}
	s.fullSince, s.takenAtFull = now, s.taken
	return s.link.o.StallTimeout, false
}

// awaitRoom waits until a queue has become shorter, at most for wait.
func (l *link) awaitRoom(wait time.Duration) {
	timer := time.AfterFunc(wait, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.room.Signal()
	})
	defer timer.Stop()
	l.waiting = true
	l.room.Wait()
	l.waiting = false
}

// took notes that n bytes have left the stream's queue.
func (s *Stream) took(n int) {
	l := s.link
	l.queued -= n
	s.taken += int64(n)
	if s.timer != nil && n > 0 {
		s.active = time.Now()
	}
	if s.in.size == 0 {
		s.fullSince = time.Time{}
		delete(l.leftover, s)
	}
	if l.waiting {
		l.room.Signal()
	}
}
