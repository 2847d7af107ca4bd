package mapper

import (
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"time"
)

// A Table keeps the mappers of a server over reloads: one whose options have not changed goes on, with its processes and what
// it has kept.
type Table struct {
	Log     *slog.Logger
	Observe func(name string, outcome Outcome, took time.Duration) // told of every decision; may be nil

	mu      sync.Mutex
	current []*Mapper // guarded by mu
	retired []*Mapper // guarded by mu; they still answer
}

// Get returns the mapper with these options: the current one, or a new one that is not started.
func (t *Table) Get(o Options) (*Mapper, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range t.current {
		if reflect.DeepEqual(m.given, o) {
			return m, nil
		}
	}
	m, err := New(o, t.Log)
	if err == nil && t.Observe != nil {
		m.observe = func(outcome Outcome, took time.Duration) { t.Observe(o.Name, outcome, took) }
	}
	return m, err
}

// Use makes these the current ones, and starts what they start ahead. The others answer what they are asked, and keep no
// process ready.
func (t *Table) Use(next []*Mapper) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.retired = slices.DeleteFunc(t.retired, (*Mapper).idle)
	for _, m := range t.current {
		if !slices.Contains(next, m) {
			m.Retire()
			t.retired = append(t.retired, m)
		}
	}
	t.current = next
	for _, m := range next {
		m.Start()
	}
}

// Close closes all mappers.
func (t *Table) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	var closing sync.WaitGroup
	for _, m := range slices.Concat(t.current, t.retired) {
		closing.Go(m.Close)
	}
	closing.Wait()
}
