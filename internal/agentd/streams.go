package agentd

import "sync"

// streams counts those that are open, until no more may begin. The zero value is not ready: see newStreams.
type streams struct {
	mu     sync.Mutex
	open   int
	closed bool
	over   chan struct{} // closed when no more may begin, and none is open
}

func newStreams() *streams { return &streams{over: make(chan struct{})} }

// begin says whether a stream may begin. Then end is to be called.
func (s *streams) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.open++
	return true
}

func (s *streams) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open--; s.open == 0 && s.closed {
		close(s.over)
	}
}

// close lets no more begin.
func (s *streams) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	if s.open == 0 {
		close(s.over)
	}
}

func (s *streams) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}
