package storetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"jackfield/internal/store"
)

// testModel does random things, and holds what the store says to a model. All runs share the store: the keys of each begin
// with a word of its own.
func testModel(t *testing.T, s store.Store) {
	var runs atomic.Int64
	rapid.Check(t, func(r *rapid.T) {
		m := &model{t: t, s: s, prefix: fmt.Sprintf("run%d.", runs.Add(1)), entries: make(map[string]store.Entry)}
		actions := []func(*rapid.T){m.create, m.update, m.delete, m.get, m.list, m.create, m.update, m.watch}
		for range rapid.IntRange(1, 20).Draw(r, "steps") {
			rapid.SampledFrom(actions).Draw(r, "action")(r)
		}
		m.compareWatches(r)
	})
}

type model struct {
	t        *testing.T
	s        store.Store
	prefix   string
	revision uint64
	entries  map[string]store.Entry
	changes  []store.Change
	watches  []modelWatch
}

type modelWatch struct {
	store.Watcher
	initial []store.Entry
	from    int // the first change that it should tell
}

func (m *model) key(r *rapid.T) string {
	return m.prefix + rapid.SampledFrom([]string{"a", "b", "a.b", "c"}).Draw(r, "key")
}

// guess is a revision that may be the right one.
func (m *model) guess(r *rapid.T, key string) uint64 {
	if rapid.IntRange(0, 3).Draw(r, "right") > 0 {
		return m.entries[key].Revision
	}
	return rapid.Uint64Range(0, m.revision+1).Draw(r, "revision")
}

func (m *model) expect(r *rapid.T, what string, err, want error) {
	if !errors.Is(err, want) {
		r.Fatalf("%s: the error is %v, not %v", what, err, want)
	}
}

func (m *model) wrote(r *rapid.T, key string, value []byte, revision uint64) {
	if revision <= m.revision {
		r.Fatalf("revision %d follows %d", revision, m.revision)
	}
	m.revision = revision
	m.entries[key] = store.Entry{Key: key, Value: value, Revision: revision}
	m.changes = append(m.changes, store.Change{Entry: m.entries[key]})
}

func (m *model) create(r *rapid.T) {
	key, value := m.key(r), rapid.SliceOfN(rapid.Byte(), 0, 8).Draw(r, "value")
	revision, err := m.s.Create(m.t.Context(), key, value)
	if _, there := m.entries[key]; there {
		m.expect(r, "create", err, store.ErrExists)
		return
	}
	m.expect(r, "create", err, nil)
	m.wrote(r, key, value, revision)
}

func (m *model) update(r *rapid.T) {
	key, value := m.key(r), rapid.SliceOfN(rapid.Byte(), 0, 8).Draw(r, "value")
	guess := m.guess(r, key)
	revision, err := m.s.Update(m.t.Context(), key, value, guess)
	if e, there := m.entries[key]; !there || e.Revision != guess {
		m.expect(r, "update", err, store.ErrConflict)
		return
	}
	m.expect(r, "update", err, nil)
	m.wrote(r, key, value, revision)
}

func (m *model) delete(r *rapid.T) {
	key := m.key(r)
	guess := m.guess(r, key)
	err := m.s.Delete(m.t.Context(), key, guess)
	switch e, there := m.entries[key]; {
	case !there:
		m.expect(r, "delete", err, store.ErrNotFound)
	case e.Revision != guess:
		m.expect(r, "delete", err, store.ErrConflict)
	default:
		m.expect(r, "delete", err, nil)
		delete(m.entries, key)
		m.changes = append(m.changes, store.Change{Entry: store.Entry{Key: key}, Deleted: true})
	}
}

func (m *model) get(r *rapid.T) {
	key := m.key(r)
	e, err := m.s.Get(m.t.Context(), key)
	want, there := m.entries[key]
	if !there {
		m.expect(r, "get", err, store.ErrNotFound)
		return
	}
	m.expect(r, "get", err, nil)
	if !same(e, want) {
		r.Fatalf("the entry is %+v, not %+v", e, want)
	}
}

func (m *model) list(r *rapid.T) {
	prefix := rapid.SampledFrom([]string{m.prefix, m.prefix + "a."}).Draw(r, "prefix")
	entries, err := m.s.List(m.t.Context(), prefix)
	m.expect(r, "list", err, nil)
	want := slices.DeleteFunc(m.sorted(), func(e store.Entry) bool { return !strings.HasPrefix(e.Key, prefix) })
	if !slices.EqualFunc(entries, want, same) {
		r.Fatalf("the list is %+v, not %+v", entries, want)
	}
}

func (m *model) sorted() []store.Entry {
	return slices.SortedFunc(maps.Values(m.entries), func(a, b store.Entry) int { return strings.Compare(a.Key, b.Key) })
}

func (m *model) watch(r *rapid.T) {
	if len(m.watches) == 2 {
		return
	}
	w, err := m.s.Watch(brief(m.t), m.prefix)
	m.expect(r, "watch", err, nil)
	m.watches = append(m.watches, modelWatch{w, m.sorted(), len(m.changes)})
}

// compareWatches reads the watches only now. One that has lost its place may end early.
func (m *model) compareWatches(r *rapid.T) {
	for _, w := range m.watches {
		defer w.Close()
		var initial []store.Entry
		for {
			c, err := w.Next()
			m.expect(r, "watch", err, nil)
			if c.Synced {
				break
			}
			initial = append(initial, c.Entry)
		}
		if !slices.EqualFunc(initial, w.initial, same) {
			r.Fatalf("the watch began with %+v, not %+v", initial, w.initial)
		}
		for _, want := range m.changes[w.from:] {
			c, err := w.Next()
			if errors.Is(err, store.ErrUnavailable) {
				break
			}
			m.expect(r, "watch", err, nil)
			if c.Deleted != want.Deleted || c.Key != want.Key || !c.Deleted && !same(c.Entry, want.Entry) {
				r.Fatalf("the watch told %+v, not %+v", c, want)
			}
		}
	}
}

func same(a, b store.Entry) bool {
	return a.Key == b.Key && string(a.Value) == string(b.Value) && a.Revision == b.Revision
}
