package jetstream

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// What a deleted key leaves is its last values and the marker of its deletion, for watches that are behind. A TTL on the
// marker would not do: the values would be there again after it.
const (
	sweepEvery = 10 * time.Minute
	sweepAfter = time.Hour
)

// sweep runs as long as the store does, in every process that uses it.
func (s *Store) sweep() {
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-time.After(sweepEvery):
		}
		if n, err := s.entries.sweep(s.ctx, sweepAfter); err != nil && s.ctx.Err() == nil {
			s.options.Log.Warn("deleted entries of the store were not swept away", "error", err)
		} else if n > 0 {
			s.options.Log.Debug("deleted entries of the store were swept away", "number", n)
		}
	}
}

// sweep removes what keys have left that were deleted longer ago than age.
func (b *bucket) sweep(ctx context.Context, age time.Duration) (swept int, err error) {
	info, err := b.info(ctx, "")
	if err != nil {
		return 0, err
	}
	for subject := range info.State.Subjects {
		m, err := b.last(ctx, subject[len(b.subject):])
		if errors.Is(err, jetstream.ErrMsgNotFound) || err == nil && (!isMarker(m.Header) || time.Since(m.Time) < age) {
			continue
		}
		if err == nil {
			err = b.forget(ctx, m)
		}
		if err != nil {
			return swept, err
		}
		swept++
	}
	return swept, nil
}

// forget removes a marker and what is before it. A key that was made again has its value behind it.
func (b *bucket) forget(ctx context.Context, marker *jetstream.RawStreamMsg) error {
	return b.s.patience.retry(ctx, func(ctx context.Context) error {
		return b.stream.Purge(ctx, jetstream.WithPurgeSubject(marker.Subject), jetstream.WithPurgeSequence(marker.Sequence+1))
	})
}
