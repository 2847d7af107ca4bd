package jetstream

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"jackfield/internal/store"
)

// A bucket is a stream with the last values of keys.
type bucket struct {
	s         *Store
	stream    jetstream.Stream
	subject   string        // of a key, up to it
	markerTTL time.Duration // of deletions; 0: they stay until they are swept away
}

func (s *Store) newBucket(ctx context.Context, name string, c jetstream.StreamConfig) (*bucket, error) {
	b := &bucket{s: s, subject: "$KV." + name + ".", markerTTL: c.SubjectDeleteMarkerTTL}
	c.Name = "KV_" + name
	c.Subjects = []string{b.subject + ">"}
	c.Storage = jetstream.FileStorage
	c.Replicas = s.options.Replicas
	c.MaxMsgSize = store.MaxValue + 4096
	c.Discard = jetstream.DiscardNew
	c.DenyDelete = true
	c.AllowDirect = false // a follower would answer, which may be behind
	err := s.patience.retry(ctx, func(ctx context.Context) (err error) {
		b.stream, err = s.js.CreateOrUpdateStream(ctx, c)
		return err
	})
	return b, err
}

// Headers of messages.
const (
	nonceHeader     = "Jackfield-Write"
	operationHeader = "KV-Operation"       // of NATS's buckets
	reasonHeader    = "Nats-Marker-Reason" // the server made this marker
)

// An edit is a write to a key, whose last message must have the sequence number after; 0: the key must have none.
type edit struct {
	key    string
	value  []byte
	after  uint64
	delete bool
	ttl    time.Duration
}

func (b *bucket) message(e edit, nonce string) *nats.Msg {
	m := nats.NewMsg(b.subject + e.key)
	m.Data = e.value
	m.Header.Set(nonceHeader, nonce)
	if e.delete {
		m.Header.Set(operationHeader, "PURGE")
		e.ttl = b.markerTTL
	}
	if e.ttl > 0 {
		m.Header.Set(jetstream.MsgTTLHeader, e.ttl.String())
	}
	return m
}

// write does an edit, once. It returns store.ErrConflict if the key has another revision.
func (b *bucket) write(ctx context.Context, e edit) (revision uint64, err error) {
	if err := b.s.checkRoom(); err != nil {
		return 0, err
	}
	call, cancel := context.WithTimeout(ctx, b.s.patience.call)
	defer cancel()
	nonce := rand.Text()
	inDoubt := false // an earlier attempt may have done it
	err = b.s.patience.retry(ctx, func(ctx context.Context) error {
		ack, err := b.s.js.PublishMsg(ctx, b.message(e, nonce), jetstream.WithExpectLastSequencePerSubject(e.after),
			jetstream.WithRetryAttempts(0))
		switch {
		case err == nil:
			revision = ack.Sequence
			return nil
		case isWrongRevision(err) && !inDoubt:
			return fmt.Errorf("%q: %w", e.key, store.ErrConflict)
		case isRefused(err) && !isWrongRevision(err):
			return err
		}
		inDoubt = true
		found, known, readErr := b.written(call, e, nonce)
		switch {
		case readErr != nil:
			return fmt.Errorf("%w (after %v)", readErr, err)
		case found > 0:
			revision = found
			return nil
		case isWrongRevision(err) && known:
			return fmt.Errorf("%q: %w", e.key, store.ErrConflict)
		case isWrongRevision(err):
			return fmt.Errorf("%w: %q was written meanwhile, and whether by this call is not known", store.ErrUnavailable, e.key)
		}
		return err
	})
	return revision, err
}

// written looks for a write by its nonce. What it was to follow says, if it is still there, that what comes next is known: a
// key forgets its oldest message first.
func (b *bucket) written(ctx context.Context, e edit, nonce string) (revision uint64, known bool, err error) {
	for next := max(e.after, 1); ; {
		m, err := b.read(ctx, next, jetstream.WithGetMsgSubject(b.subject+e.key))
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			return 0, known, nil
		case err != nil:
			return 0, false, err
		case m.Sequence == e.after:
			known = true
		case m.Header.Get(nonceHeader) == nonce:
			return m.Sequence, true, nil
		case known:
			return 0, true, nil // another's write has that place
		}
		next = m.Sequence + 1
	}
}

// read asks the stream's leader for a message.
func (b *bucket) read(ctx context.Context, sequence uint64, options ...jetstream.GetMsgOpt) (m *jetstream.RawStreamMsg, err error) {
	err = b.s.patience.retry(ctx, func(ctx context.Context) error {
		m, err = b.stream.GetMsg(ctx, sequence, options...)
		return err
	})
	return m, err
}

// last asks the leader for what a key has now, which may be the marker of a deletion. None is jetstream.ErrMsgNotFound.
func (b *bucket) last(ctx context.Context, key string) (m *jetstream.RawStreamMsg, err error) {
	err = b.s.patience.retry(ctx, func(ctx context.Context) error {
		m, err = b.stream.GetLastMsgForSubject(ctx, b.subject+key)
		return err
	})
	return m, err
}

// get returns store.ErrNotFound for a deleted entry too.
func (b *bucket) get(ctx context.Context, key string) (store.Entry, error) {
	m, err := b.last(ctx, key)
	if errors.Is(err, jetstream.ErrMsgNotFound) || err == nil && isMarker(m.Header) {
		return store.Entry{}, fmt.Errorf("%q: %w", key, store.ErrNotFound)
	}
	if err != nil {
		return store.Entry{}, err
	}
	return store.Entry{Key: key, Value: m.Data, Revision: m.Sequence, Written: m.Time}, nil
}

// create writes a key that has no entry; it may have the marker of one.
func (b *bucket) create(ctx context.Context, key string, value []byte, ttl time.Duration) (uint64, error) {
	e := edit{key: key, value: value, ttl: ttl}
	for {
		revision, err := b.write(ctx, e)
		if !errors.Is(err, store.ErrConflict) {
			return revision, err
		}
		m, err := b.last(ctx, key)
		switch {
		case err == nil && !isMarker(m.Header):
			return 0, fmt.Errorf("%q: %w", key, store.ErrExists)
		case err == nil:
			e.after = m.Sequence
		case errors.Is(err, jetstream.ErrMsgNotFound):
			e.after = 0
		default:
			return 0, err
		}
	}
}

func isMarker(h nats.Header) bool {
	operation := h.Get(operationHeader)
	return operation == "PURGE" || operation == "DEL" || h.Get(reasonHeader) != ""
}
