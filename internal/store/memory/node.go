package memory

import (
	"context"
	"fmt"
	"time"

	"jackfield/internal/store"
)

// Hold takes the lease of a node.
func (s *Store) Hold(ctx context.Context, node string, ttl time.Duration) (store.NodeLease, error) {
	if err := store.CheckName(node); err != nil {
		return nil, err
	}
	if err := store.CheckTTL(ttl); err != nil {
		return nil, err
	}
	start := time.Now()
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	key := "node." + node
	if _, err := s.nodes.get(key); err == nil {
		return nil, fmt.Errorf("node %q: %w", node, store.ErrExists)
	}
	h := &hold{s: s, key: key, ttl: ttl, taken: s.put(s.nodes, key, nil)}
	h.expiry = time.AfterFunc(ttl, h.expire)
	return store.KeepLease(s.ctx, start, ttl, h.renew, h.release), nil
}

// Nodes tells which nodes hold their leases.
func (s *Store) Nodes(ctx context.Context) (store.Watcher, error) { return s.watch(ctx, s.nodes, "") }

// A hold is a lease as the store sees it.
type hold struct {
	s      *Store
	key    string
	ttl    time.Duration
	taken  uint64 // the revision of the entry
	expiry *time.Timer
}

func (h *hold) renew(ctx context.Context) error {
	if err := h.s.begin(ctx); err != nil {
		return err
	}
	defer h.s.mu.Unlock()
	if h.s.nodes.entries[h.key].Revision != h.taken {
		return fmt.Errorf("%q: %w", h.key, store.ErrConflict)
	}
	h.expiry.Reset(h.ttl)
	return nil
}

func (h *hold) release(ctx context.Context) error {
	if err := h.s.begin(ctx); err != nil {
		return err
	}
	defer h.s.mu.Unlock()
	h.end()
	return nil
}

func (h *hold) expire() {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	h.end()
}

func (h *hold) end() {
	h.expiry.Stop()
	if h.s.nodes.entries[h.key].Revision == h.taken {
		h.s.remove(h.s.nodes, h.key)
	}
}
