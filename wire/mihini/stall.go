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
		now := time.Now()
		l.judge(full, now)
		wait, stalled := full.stalled(now)
		if stalled {
			full.abandon()
			continue
		}
		l.awaitRoom(wait)
	}
	if l.err == nil {
		s.dropped()
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

// A pace is what was taken from a full queue at moments of the last StallTimeout, the oldest first.
type pace struct {
	marks [paceMarks]mark
	n     int
}

// paceMarks is how many moments are kept: a reader is found too slow at most a quarter of StallTimeout late, by two steps.
const paceMarks = 9

type mark struct {
	at    time.Time
	taken int64
}

// note keeps this moment if the last one is a step away. It forgets the oldest one for it.
func (p *pace) note(now time.Time, taken int64, step time.Duration) {
	if p.n > 0 && now.Sub(p.marks[p.n-1].at) < step {
		return
	}
	if p.n == paceMarks {
		copy(p.marks[:], p.marks[1:])
		p.n--
	}
	p.marks[p.n] = mark{now, taken}
	p.n++
}

// judge judges the streams with full queues besides the one that is waited for, once in a while: one after the other would take
// too long.
func (l *link) judge(waited *Stream, now time.Time) {
	if now.Sub(l.judged) < l.o.StallTimeout/(paceMarks-1) {
		return
	}
	l.judged = now
	for i := range l.slots {
		s := l.slots[i].stream
		if s == nil || s == waited || s.deaf || s.in.size+MaxSent < l.o.Queue {
			continue
		}
		if _, stalled := s.stalled(now); stalled {
			s.abandon()
		}
	}
}

// stalled judges a stream whose queue is full: it has taken too little, or it may go on for wait.
func (s *Stream) stalled(now time.Time) (wait time.Duration, stalled bool) {
	limit := s.link.o.StallTimeout
	step := limit / (paceMarks - 1)
	if s.link.ids == nil && len(s.out) == maxWaiting {
		// On the device: its service does not read because it cannot write, because the link takes nothing. Whoever is to blame for
		// that is at the other end, which has this rule, too.
		s.pace.n = 0
	}
	s.pace.note(now, s.taken, step)
	if first := s.pace.marks[0]; now.Sub(first.at) >= limit && s.taken-first.taken < int64(s.link.o.StallBytes) {
		return 0, true
	}
	return step - now.Sub(s.pace.marks[s.pace.n-1].at), false
}

// AfterStall has f called, in a goroutine of its own, when the stream is closed with ErrStalled: its reader may wait for
// somebody else's taking the bytes just now, and not notice. The function returned takes f back; it reports false if f has
// been called already.
func (s *Stream) AfterStall(f func()) (stop func() bool) {
	s.link.mu.Lock()
	defer s.link.mu.Unlock()
	s.onStall = f
	return func() bool {
		s.link.mu.Lock()
		defer s.link.mu.Unlock()
		pending := s.onStall != nil
		s.onStall = nil
		return pending
	}
}

// abandon closes a stream whose reader is too slow.
func (s *Stream) abandon() {
	s.link.stats.Stalled++
	s.abort(ErrStalled)
	if s.onStall != nil {
		go s.onStall()
		s.onStall = nil
	}
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
		s.pace.n = 0
		delete(l.leftover, s)
	}
	if l.waiting {
		l.room.Signal()
	}
}
