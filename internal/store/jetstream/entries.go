package jetstream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/nats-io/nats.go/jetstream"

	"jackfield/internal/store"
)

// Get returns an entry.
func (s *Store) Get(ctx context.Context, key string) (store.Entry, error) {
	if err := store.CheckKey(key); err != nil {
		return store.Entry{}, err
	}
	return s.entries.get(ctx, key)
}

// List returns the entries below a prefix. It asks for each of them: thousands take as many milliseconds in a cluster.
func (s *Store) List(ctx context.Context, prefix string) ([]store.Entry, error) {
	if err := store.CheckPrefix(prefix); err != nil {
		return nil, err
	}
	entries, _, err := s.entries.list(ctx, prefix)
	return entries, err
}

// Create makes an entry.
func (s *Store) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	if err := errors.Join(store.CheckKey(key), store.CheckValue(value)); err != nil {
		return 0, err
	}
	return s.entries.create(ctx, key, value, 0)
}

// Update replaces the value of an entry.
func (s *Store) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if err := errors.Join(store.CheckKey(key), store.CheckValue(value)); err != nil {
		return 0, err
	}
	// The stream would also replace the marker of a deletion, or nothing at all.
	e, err := s.entries.get(ctx, key)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && e.Revision != revision:
		return 0, fmt.Errorf("%q: %w", key, store.ErrConflict)
	case err != nil:
		return 0, err
	}
	return s.entries.write(ctx, edit{key: key, value: value, after: revision})
}

// Delete removes an entry.
func (s *Store) Delete(ctx context.Context, key string, revision uint64) error {
	if err := store.CheckKey(key); err != nil {
		return err
	}
	e, err := s.entries.get(ctx, key)
	switch {
	case err != nil:
		return err
	case e.Revision != revision:
		return fmt.Errorf("%q: %w", key, store.ErrConflict)
	}
	_, err = s.entries.write(ctx, edit{key: key, after: revision, delete: true})
	return err
}

// listers is how many reads of a list are under way at once.
const listers = 16

// list returns the entries by key, and how far the stream was when it began.
func (b *bucket) list(ctx context.Context, prefix string) (entries []store.Entry, position uint64, err error) {
	info, err := b.info(ctx, prefix)
	if err != nil {
		return nil, 0, err
	}
	keys := slices.Sorted(maps.Keys(info.State.Subjects))
	found := make([]store.Entry, len(keys))
	failed := inParallel(len(keys), listers, func(i int) error {
		e, err := b.get(ctx, strings.TrimPrefix(keys[i], b.subject))
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		found[i] = e
		return err
	})
	if failed != nil {
		return nil, 0, failed
	}
	found = slices.DeleteFunc(found, func(e store.Entry) bool { return e.Revision == 0 })
	return found, info.State.LastSeq, nil
}

// info asks the leader what there is, and for the subjects of keys.
func (b *bucket) info(ctx context.Context, prefix string) (info *jetstream.StreamInfo, err error) {
	err = b.s.patience.retry(ctx, func(ctx context.Context) error {
		info, err = b.stream.Info(ctx, jetstream.WithSubjectFilter(b.subject+prefix+">"))
		return err
	})
	return info, err
}

// inParallel does work for 0 to n-1, at most limit at a time, until one fails.
func inParallel(n, limit int, work func(i int) error) error {
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		next  int
		first error
	)
	take := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		next++
		return next - 1, next <= n && first == nil
	}
	for range min(n, limit) {
		wg.Go(func() {
			for i, more := take(); more; i, more = take() {
				if err := work(i); err != nil {
					mu.Lock()
					first = errors.Join(first, err)
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return first
}
