package jetstream

import (
	"context"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"jackfield/internal/store"
)

// Watch tells the entries below a prefix, and their changes.
func (s *Store) Watch(ctx context.Context, prefix string) (store.Watcher, error) {
	if err := store.CheckPrefix(prefix); err != nil {
		return nil, err
	}
	return s.watch(ctx, s.entries, prefix)
}

// A watcher first tells a list. Then it reads the whole stream, though most of it may have other keys, since only so can it
// see that something is missing.
type watcher struct {
	*tail
	bucket *bucket
	prefix string
	queue  []store.Change    // the list
	told   map[string]uint64 // revisions of entries in the list that the stream has too
}

func (s *Store) watch(ctx context.Context, b *bucket, prefix string) (*watcher, error) {
	entries, position, err := b.list(ctx, prefix)
	if err != nil {
		return nil, err
	}
	w := &watcher{bucket: b, prefix: prefix, told: make(map[string]uint64)}
	for _, e := range entries {
		w.queue = append(w.queue, store.Change{Entry: e})
		if e.Revision > position {
			w.told[e.Key] = e.Revision
		}
	}
	w.queue = append(w.queue, store.Change{Synced: true})
	w.tail = s.newTail(ctx, b.stream.CachedInfo().Config.Name, position+1)
	return w, nil
}

// Next waits for the next change.
func (w *watcher) Next() (store.Change, error) {
	if err := w.ctx.Err(); err != nil {
		return store.Change{}, context.Cause(w.ctx)
	}
	if len(w.queue) > 0 {
		c := w.queue[0]
		w.queue = w.queue[1:]
		return c, nil
	}
	for {
		m, revision, gap, err := w.read()
		if err != nil {
			return store.Change{}, err
		}
		if gap {
			w.cancel(fmt.Errorf("%w: a watch was too far behind", store.ErrUnavailable))
			return store.Change{}, context.Cause(w.ctx)
		}
		key, ours := strings.CutPrefix(m.Subject(), w.bucket.subject)
		if ours && strings.HasPrefix(key, w.prefix) && revision > w.told[key] {
			delete(w.told, key)
			return change(m, key, revision)
		}
	}
}

func change(m jetstream.Msg, key string, revision uint64) (store.Change, error) {
	about, err := m.Metadata()
	if err != nil {
		return store.Change{}, err
	}
	c := store.Change{Entry: store.Entry{Key: key, Revision: revision, Written: about.Timestamp}, Deleted: isMarker(m.Headers())}
	if !c.Deleted {
		c.Value = m.Data()
	}
	return c, nil
}

// Close ends the watch.
func (w *watcher) Close() { w.cancel(context.Canceled) }
