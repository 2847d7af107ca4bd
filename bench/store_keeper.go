//go:build linux

package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go/jetstream"

	"jackfield/internal/store"
)

// A keeper keeps entries: a store of Jackfield's, or a bucket of NATS as it is.
type keeper interface {
	// put makes or replaces an entry, which nobody else writes.
	put(ctx context.Context, key string, value []byte) error

	get(ctx context.Context, key string) ([]byte, error)

	// watch tells each new value of an entry through next, from now on until ctx ends.
	watch(ctx context.Context, key string) (next func() ([]byte, error), err error)
}

// A storeKeeper writes as Jackfield does: every write names the revision that it replaces.
type storeKeeper struct {
	store store.Store

	mu        sync.Mutex // guards revisions
	revisions map[string]uint64
}

func newStoreKeeper(s store.Store) *storeKeeper {
	return &storeKeeper{store: s, revisions: make(map[string]uint64)}
}

func (k *storeKeeper) put(ctx context.Context, key string, value []byte) (err error) {
	k.mu.Lock()
	revision := k.revisions[key]
	k.mu.Unlock()
	if revision == 0 {
		revision, err = k.store.Create(ctx, key, value)
	} else {
		revision, err = k.store.Update(ctx, key, value, revision)
	}
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.revisions[key] = revision
	return nil
}

func (k *storeKeeper) get(ctx context.Context, key string) ([]byte, error) {
	e, err := k.store.Get(ctx, key)
	return e.Value, err
}

func (k *storeKeeper) watch(ctx context.Context, key string) (next func() ([]byte, error), err error) {
	w, err := k.store.Watch(ctx, key[:len(key)-len(lastWord(key))])
	if err != nil {
		return nil, err
	}
	for {
		switch c, err := w.Next(); {
		case err != nil:
			return nil, err
		case c.Synced:
			return func() ([]byte, error) {
				c, err := w.Next()
				return c.Value, err
			}, nil
		}
	}
}

// A bucketKeeper writes as a program does that needs no more: the last write wins.
type bucketKeeper struct{ bucket jetstream.KeyValue }

func (k bucketKeeper) put(ctx context.Context, key string, value []byte) error {
	_, err := k.bucket.Put(ctx, key, value)
	return err
}

func (k bucketKeeper) get(ctx context.Context, key string) ([]byte, error) {
	e, err := k.bucket.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	return e.Value(), nil
}

func (k bucketKeeper) watch(ctx context.Context, key string) (next func() ([]byte, error), err error) {
	w, err := k.bucket.Watch(ctx, key)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = w.Stop() }) // the connection's end would stop it as well
	next = func() ([]byte, error) {
		select {
		case e, more := <-w.Updates():
			switch {
			case !more:
				return nil, fmt.Errorf("the watch of %s has ended", key)
			case e == nil: // what was there has been told
				return nil, nil
			}
			return e.Value(), nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	for {
		if value, err := next(); err != nil || value == nil {
			return next, err
		}
	}
}
