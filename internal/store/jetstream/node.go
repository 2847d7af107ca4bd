package jetstream

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"jackfield/internal/store"
)

const nodePrefix = "node."

// Hold takes the lease of a node.
func (s *Store) Hold(ctx context.Context, node string, ttl time.Duration) (store.NodeLease, error) {
	if err := errors.Join(store.CheckName(node), store.CheckTTL(ttl)); err != nil {
		return nil, err
	}
	start := time.Now()
	h := &hold{bucket: s.nodes, key: nodePrefix + node, id: rand.Text(), ttl: ttl}
	var err error
	if h.revision, err = s.nodes.create(ctx, h.key, []byte(h.id), ttl); err != nil {
		return nil, err
	}
	return store.KeepLease(s.ctx, start, ttl, h.renew, h.release), nil
}

// A hold is a lease as the stream has it: a message with a TTL, whose value is the id of who holds it.
type hold struct {
	bucket   *bucket
	key, id  string
	ttl      time.Duration
	revision uint64 // of the last write that is known
}

// renew writes the entry anew, with its TTL: an update of NATS's bucket would make it permanent.
func (h *hold) renew(ctx context.Context) error {
	return h.write(ctx, edit{key: h.key, value: []byte(h.id), ttl: h.ttl})
}

func (h *hold) release(ctx context.Context) error {
	return h.write(ctx, edit{key: h.key, delete: true})
}

// write finds the entry again if an earlier write was done whose answer was lost.
func (h *hold) write(ctx context.Context, e edit) error {
	e.after = h.revision
	revision, err := h.bucket.write(ctx, e)
	if errors.Is(err, store.ErrConflict) {
		if e.after, err = h.find(ctx); err != nil {
			return err
		}
		revision, err = h.bucket.write(ctx, e)
	}
	if err == nil {
		h.revision = revision
	}
	return err
}

func (h *hold) find(ctx context.Context) (uint64, error) {
	m, err := h.bucket.last(ctx, h.key)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound), err == nil && (isMarker(m.Header) || string(m.Data) != h.id):
		return 0, fmt.Errorf("%q: %w", h.key, store.ErrConflict)
	case err != nil:
		return 0, err
	}
	return m.Sequence, nil
}

// Nodes tells which nodes hold their leases.
func (s *Store) Nodes(ctx context.Context) (store.Watcher, error) {
	w, err := s.watch(ctx, s.nodes, "")
	if err != nil {
		return nil, err
	}
	return &nodeWatcher{watcher: w, there: make(map[string]bool)}, nil
}

// A nodeWatcher keeps renewals to itself.
type nodeWatcher struct {
	*watcher
	there map[string]bool
}

// Next waits for a node that comes or goes.
func (w *nodeWatcher) Next() (store.Change, error) {
	for {
		c, err := w.watcher.Next()
		if err != nil || c.Synced {
			return c, err
		}
		if w.there[c.Key] == c.Deleted {
			if c.Deleted {
				delete(w.there, c.Key)
			} else {
				w.there[c.Key] = true
			}
			c.Value = nil
			return c, nil
		}
	}
}
