package mihini

import "time"

// patience is how long nothing may happen to a stream in its present state; 0 means any time.
func (s *Stream) patience() time.Duration {
	switch {
	case s.gone && s.link.ids == nil && s.received > s.taken:
		return s.link.o.Linger // for the service to take what is left
	case s.gone || s.forsaken:
		return 0
	case s.closeSent && !s.peerClosed, s.peerClosed && !s.ending:
		return s.link.o.Linger
	case s.ending && !s.due && len(s.out) == 0:
		return s.link.closeDelay
	}
	return 0
}

// rearm counts the patience from now. It is called when the state changes.
func (s *Stream) rearm() {
	limit := s.patience()
	if limit <= 0 {
		return
	}
	s.active = time.Now()
	if s.timer == nil {
		s.timer = time.AfterFunc(limit, s.expire)
	} else {
		s.timer.Reset(limit)
	}
}

// expire acts when nothing has happened for too long.
func (s *Stream) expire() {
	s.link.mu.Lock()
	defer s.link.mu.Unlock()
	limit := s.patience()
	if limit <= 0 {
		return
	}
	if len(s.out) > 0 { // the link is to blame
		s.active = time.Now()
	}
	if rest := limit - time.Since(s.active); rest > 0 {
		s.timer.Reset(rest)
		return
	}
	switch {
	case s.gone:
		s.cut(ErrLinger)
	case s.closeSent:
		s.forsake()
	case s.peerClosed:
		s.abort(ErrLinger)
	default:
		s.due = true
		s.link.schedule(s.id)
	}
}

// forsake gives up the wait for the peer's CLOSE. On the server the id stays out of use until it comes; the device's
// side has no ids of its own.
func (s *Stream) forsake() {
	s.hear(ErrLinger)
	if s.link.ids == nil {
		s.vacate()
		s.breakOff(ErrLinger)
		return
	}
	s.forsaken = true
	s.link.checkExhausted()
}
