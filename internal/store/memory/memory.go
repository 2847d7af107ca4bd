// Package memory is a store that forgets everything with the process: for tests, and to say in few lines what a store does.
//
//	s := memory.New()
//	defer s.Close()
//	revision, err := s.Create(ctx, "user.ada", value)
package memory

import (
	"context"
	"fmt"
	"sync"
	"time"

	"jackfield/internal/store"
)

// MaxBehind is how many changes a watch may be behind before it loses its place.
const MaxBehind = 16384

// Store is a store.Store. New makes one.
type Store struct {
	ctx   context.Context // ends with Close
	close context.CancelFunc

	mu          sync.Mutex // guards what follows, and what is in it
	unreachable bool
	revision    uint64
	entries     *table
	nodes       *table
	journals    map[string]*journal
}

var _ store.Store = (*Store)(nil)

// New makes an empty store.
func New() *Store {
	s := &Store{entries: newTable(), nodes: newTable(), journals: make(map[string]*journal)}
	s.ctx, s.close = context.WithCancel(context.Background())
	return s
}

// SetReachable(false) makes every call fail with ErrUnavailable, and the watches end, until SetReachable(true): for tests of
// what happens while the store is away.
func (s *Store) SetReachable(reachable bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unreachable = !reachable
	if s.unreachable {
		s.endWatches()
	}
}

// Close ends the store, its watches and its leases.
func (s *Store) Close() error {
	s.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endWatches()
	return nil
}

func (s *Store) endWatches() {
	s.entries.endWatches()
	s.nodes.endWatches()
	for _, j := range s.journals {
		j.endReaders()
	}
}

// begin locks the store for a call. If it fails the store is not locked.
func (s *Store) begin(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	if s.ctx.Err() != nil || s.unreachable {
		s.mu.Unlock()
		return fmt.Errorf("memory: %w", store.ErrUnavailable)
	}
	return nil
}

// Get returns an entry.
func (s *Store) Get(ctx context.Context, key string) (store.Entry, error) {
	if err := store.CheckKey(key); err != nil {
		return store.Entry{}, err
	}
	if err := s.begin(ctx); err != nil {
		return store.Entry{}, err
	}
	defer s.mu.Unlock()
	return s.entries.get(key)
}

// List returns the entries below a prefix.
func (s *Store) List(ctx context.Context, prefix string) ([]store.Entry, error) {
	if err := store.CheckPrefix(prefix); err != nil {
		return nil, err
	}
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	return s.entries.list(prefix), nil
}

// Create makes an entry.
func (s *Store) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	return s.write(ctx, key, value, func() error {
		if _, err := s.entries.get(key); err == nil {
			return fmt.Errorf("%q: %w", key, store.ErrExists)
		}
		return nil
	})
}

// Update replaces the value of an entry.
func (s *Store) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	return s.write(ctx, key, value, func() error {
		if e, err := s.entries.get(key); err != nil || e.Revision != revision {
			return fmt.Errorf("%q: %w", key, store.ErrConflict)
		}
		return nil
	})
}

func (s *Store) write(ctx context.Context, key string, value []byte, refuse func() error) (uint64, error) {
	if err := store.CheckKey(key); err != nil {
		return 0, err
	}
	if err := store.CheckValue(value); err != nil {
		return 0, err
	}
	if err := s.begin(ctx); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	if err := refuse(); err != nil {
		return 0, err
	}
	return s.put(s.entries, key, value), nil
}

func (s *Store) put(t *table, key string, value []byte) uint64 {
	s.revision++
	t.put(store.Entry{Key: key, Value: value, Revision: s.revision, Written: time.Now()})
	return s.revision
}

// Delete removes an entry.
func (s *Store) Delete(ctx context.Context, key string, revision uint64) error {
	if err := store.CheckKey(key); err != nil {
		return err
	}
	if err := s.begin(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	e, err := s.entries.get(key)
	if err != nil {
		return err
	}
	if e.Revision != revision {
		return fmt.Errorf("%q: %w", key, store.ErrConflict)
	}
	s.remove(s.entries, key)
	return nil
}

func (s *Store) remove(t *table, key string) {
	s.revision++
	t.remove(store.Entry{Key: key, Revision: s.revision, Written: time.Now()})
}

// Watch tells the entries below a prefix, and their changes.
func (s *Store) Watch(ctx context.Context, prefix string) (store.Watcher, error) {
	if err := store.CheckPrefix(prefix); err != nil {
		return nil, err
	}
	return s.watch(ctx, s.entries, prefix)
}

func (s *Store) watch(ctx context.Context, t *table, prefix string) (store.Watcher, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	return t.watch(ctx, s, prefix), nil
}
