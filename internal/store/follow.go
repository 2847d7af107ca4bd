package store

import (
	"context"
	"log/slog"
	"time"
)

// How long Follow waits before it begins a lost watch anew.
const (
	firstRewatch = 50 * time.Millisecond // doubled each time, up to the last
	lastRewatch  = 2 * time.Second
)

// Follow keeps a copy of the entries of a prefix up to date: apply is told each entry that is there before Follow returns, and
// then every change, by one goroutine. A watch that is lost is begun anew for as long as it takes; what changed meanwhile is
// then told as if it changed now, deletions too. The copy is as old as the store was away.
//
// The channel is closed when ctx has ended and apply will not be called again.
func Follow(ctx context.Context, s Store, prefix string, log *slog.Logger, apply func(Change)) (done <-chan struct{}, err error) {
	f := &follower{store: s, prefix: prefix, apply: apply, known: make(map[string]uint64)}
	watch, err := f.begin(ctx)
	if err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.run(ctx, watch, log)
	}()
	return ended, nil
}

type follower struct {
	store  Store
	prefix string
	apply  func(Change)
	known  map[string]uint64 // the revisions that apply was told
}

// begin returns a watch that has told all that is there.
func (f *follower) begin(ctx context.Context) (Watcher, error) {
	watch, err := f.store.Watch(ctx, f.prefix)
	if err != nil {
		return nil, err
	}
	there := make(map[string]bool)
	for {
		c, err := watch.Next()
		switch {
		case err != nil:
			watch.Close()
			return nil, err
		case c.Synced:
			f.forgetAllBut(there)
			return watch, nil
		case !c.Deleted:
			there[c.Key] = true
		}
		f.tell(c)
	}
}

// tell passes on what is new.
func (f *follower) tell(c Change) {
	switch revision, known := f.known[c.Key]; {
	case c.Deleted && !known, !c.Deleted && revision == c.Revision:
		return
	case c.Deleted:
		delete(f.known, c.Key)
	default:
		f.known[c.Key] = c.Revision
	}
	f.apply(c)
}

func (f *follower) forgetAllBut(there map[string]bool) {
	for key := range f.known {
		if !there[key] {
			f.tell(Change{Entry: Entry{Key: key}, Deleted: true})
		}
	}
}

func (f *follower) run(ctx context.Context, watch Watcher, log *slog.Logger) {
	for {
		err := f.follow(watch)
		if ctx.Err() != nil {
			return
		}
		log.Warn("the store cannot be followed: what is known of it may be old", "prefix", f.prefix, "error", err)
		if watch = f.beginAnew(ctx); watch == nil {
			return
		}
		log.Info("the store is followed again", "prefix", f.prefix)
	}
}

func (f *follower) follow(watch Watcher) error {
	defer watch.Close()
	for {
		c, err := watch.Next()
		if err != nil {
			return err
		}
		if !c.Synced {
			f.tell(c)
		}
	}
}

// beginAnew returns nil when ctx ends.
func (f *follower) beginAnew(ctx context.Context) Watcher {
	for wait := firstRewatch; ; wait = min(2*wait, lastRewatch) {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		if watch, err := f.begin(ctx); err == nil {
			return watch
		}
	}
}
