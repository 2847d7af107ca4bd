package memory

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"jackfield/internal/store"
)

// A table is entries and those who watch them. Its store's lock guards it.
type table struct {
	entries  map[string]store.Entry
	watchers map[*watcher]struct{}
}

func newTable() *table {
	return &table{entries: make(map[string]store.Entry), watchers: make(map[*watcher]struct{})}
}

func (t *table) get(key string) (store.Entry, error) {
	e, ok := t.entries[key]
	if !ok {
		return e, fmt.Errorf("%q: %w", key, store.ErrNotFound)
	}
	return clone(e), nil
}

func (t *table) list(prefix string) []store.Entry {
	var list []store.Entry
	for _, key := range slices.Sorted(maps.Keys(t.entries)) {
		if strings.HasPrefix(key, prefix) {
			list = append(list, clone(t.entries[key]))
		}
	}
	return list
}

func (t *table) put(e store.Entry) {
	e = clone(e)
	t.entries[e.Key] = e
	t.tell(store.Change{Entry: e})
}

func (t *table) remove(e store.Entry) {
	delete(t.entries, e.Key)
	t.tell(store.Change{Entry: e, Deleted: true})
}

func clone(e store.Entry) store.Entry {
	e.Value = bytes.Clone(e.Value)
	return e
}

func (t *table) tell(c store.Change) {
	for w := range t.watchers {
		if strings.HasPrefix(c.Key, w.prefix) && !w.tell(c) {
			delete(t.watchers, w)
		}
	}
}

func (t *table) endWatches() {
	for w := range t.watchers {
		w.end(store.ErrUnavailable)
	}
	clear(t.watchers)
}

func (t *table) watch(ctx context.Context, s *Store, prefix string) *watcher {
	w := &watcher{prefix: prefix, more: make(chan struct{}, 1)}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	for _, e := range t.list(prefix) {
		w.queue = append(w.queue, store.Change{Entry: e})
	}
	w.queue = append(w.queue, store.Change{Synced: true})
	w.limit = len(w.queue) + MaxBehind
	t.watchers[w] = struct{}{}
	context.AfterFunc(w.ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(t.watchers, w)
	})
	return w
}

// A watcher has a queue of what its user has not asked for yet.
type watcher struct {
	prefix string
	limit  int // of the queue
	ctx    context.Context
	cancel context.CancelCauseFunc
	more   chan struct{} // holds a token when the queue has grown

	mu    sync.Mutex // guards queue; taken inside the store's lock
	queue []store.Change
}

// tell says whether the watcher still keeps up.
func (w *watcher) tell(c store.Change) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) >= w.limit {
		w.end(fmt.Errorf("%w: a watch is %d changes behind", store.ErrUnavailable, len(w.queue)))
		return false
	}
	w.queue = append(w.queue, c)
	select {
	case w.more <- struct{}{}:
	default:
	}
	return true
}

func (w *watcher) end(err error) { w.cancel(err) }

// Next waits for the next change.
func (w *watcher) Next() (store.Change, error) {
	for {
		if w.ctx.Err() != nil {
			return store.Change{}, context.Cause(w.ctx)
		}
		if c, ok := w.take(); ok {
			return c, nil
		}
		select {
		case <-w.more:
		case <-w.ctx.Done():
		}
	}
}

func (w *watcher) take() (store.Change, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 {
		return store.Change{}, false
	}
	c := w.queue[0]
	w.queue = w.queue[1:]
	c.Entry = clone(c.Entry)
	return c, true
}

// Close ends the watch.
func (w *watcher) Close() { w.end(context.Canceled) }
