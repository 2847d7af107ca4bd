package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"jackfield"
)

// Sessions is the table of live sessions. It outlives generations.
type Sessions struct {
	instance string
	last     atomic.Uint64

	mu   sync.Mutex
	live map[string]*Session // guarded by mu
}

// NewSessions returns an empty table. The short ids of its requests begin with instance, which tells the runs of a server
// apart in the audit.
func NewSessions(instance string) *Sessions {
	return &Sessions{instance: instance, live: make(map[string]*Session)}
}

// NewID makes the short id of a request, which no other request of this server ever has.
func (t *Sessions) NewID() string {
	return t.instance + "-" + strconv.FormatUint(t.last.Add(1), 36)
}

func (t *Sessions) add(s *Session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.live[s.visit.record.ID] = s
}

func (t *Sessions) remove(s *Session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.live, s.visit.record.ID)
}

// A LiveSession is what can be seen of a session while it runs.
type LiveSession struct {
	jackfield.Request
	Transfer jackfield.Transfer
}

// List returns the live sessions, the oldest first.
func (t *Sessions) List() []LiveSession {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]LiveSession, 0, len(t.live))
	for _, s := range t.live {
		list = append(list, LiveSession{s.visit.record.Request, s.transfer()})
	}
	slices.SortFunc(list, func(a, b LiveSession) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.ID, b.ID))
	})
	return list
}

// Len counts the live sessions.
func (t *Sessions) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.live)
}

// Disconnect cuts the session with the given id; why becomes its end in the audit. It says whether there was such a
// session, and does not wait for its end.
func (t *Sessions) Disconnect(id, why string) bool {
	t.mu.Lock()
	s := t.live[id]
	t.mu.Unlock()
	if s == nil {
		return false
	}
	s.cancel(errors.New(why))
	return true
}

// CutForbidden cuts the sessions that allowed has an error for, which becomes their end in the audit, and counts them.
func (t *Sessions) CutForbidden(allowed func(jackfield.Request) error) int {
	t.mu.Lock()
	sessions := slices.Collect(maps.Values(t.live))
	t.mu.Unlock()
	cut := 0
	for _, s := range sessions {
		if err := allowed(s.visit.record.Request); err != nil {
			s.cancel(fmt.Errorf("forbidden since the configuration was reloaded: %w", err))
			cut++
		}
	}
	return cut
}
