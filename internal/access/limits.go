package access

import "sync"

// LimitTable keeps the Limits of a server by name, so that a session counts as long as it lasts, whatever generation of
// the configuration let it in.
type LimitTable struct {
	mu     sync.Mutex
	limits map[string]*Limit // guarded by mu
}

// Get returns the Limit of that name. It is made at the first call, and then allows everything.
func (t *LimitTable) Get(name string) *Limit {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.limits == nil {
		t.limits = make(map[string]*Limit)
	}
	limit := t.limits[name]
	if limit == nil {
		limit = NewLimit(name, Limits{})
		t.limits[name] = limit
	}
	return limit
}
