package identity

import (
	"net/netip"
	"sync"
	"time"

	"jackfield"
)

// Attempts slows down sources that show one wrong secret after the other, as Login does: after a few, a source waits one second
// before the next attempt, then twice as long with each further failure, up to five minutes. It may be used by many goroutines.
type Attempts struct {
	mu      sync.Mutex
	sources *failures[netip.Prefix] // guarded by mu
}

// NewAttempts returns what knows of no failures.
func NewAttempts() *Attempts { return &Attempts{sources: newFailures[netip.Prefix](perSource)} }

// Begin refuses an attempt that comes too soon, as Limited: RetryAfter says how much. Such an attempt counts for nothing.
func (a *Attempts) Begin(source netip.Addr) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if wait := a.sources.wait(jackfield.SourceOf(source), time.Now()); wait > 0 {
		return limited("too many wrong tokens, try again later", wait, errSlowed)
	}
	return nil
}

// Failed notes that a secret was wrong.
func (a *Attempts) Failed(source netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sources.add(jackfield.SourceOf(source), time.Now())
}
