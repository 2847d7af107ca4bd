package relay

import (
	"sync"
	"time"
)

// A lookout looks, while a write waits that cannot have a deadline, whether the peer that sent the bytes is still there. Its zero
// value is ready.
type lookout struct {
	mu      sync.Mutex // guards all below
	timer   *time.Timer
	session *session
	peer    *peer // nil: nothing is written
}

// begin begins a look every lookTime, until end.
func (l *lookout) begin(s *session, p *peer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.session, l.peer = s, p
	if l.timer == nil {
		l.timer = time.AfterFunc(lookTime, l.check)
		return
	}
	l.timer.Reset(lookTime)
}

func (l *lookout) check() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.peer == nil {
		return
	}
	if l.peer.hasError() {
		l.session.broke(l.peer, errGone)
	}
	l.timer.Reset(lookTime)
}

// end waits for a look that goes on. After it, none has an effect.
func (l *lookout) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.peer = nil
	l.timer.Stop()
}
