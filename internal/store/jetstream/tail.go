package jetstream

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"jackfield/internal/store"
)

// What a tail has under way.
const (
	tailMessages  = 256
	tailBytes     = 4 << 20
	tailHeartbeat = time.Second      // of the server; two that are missing end the consumer
	tailExpiry    = 5 * time.Second  // of a request for messages
	tailIdle      = 15 * time.Second // after which the server forgets a consumer
)

// A tail reads a stream from a place on, across whatever becomes of connections and consumers.
type tail struct {
	s      *Store
	stream string
	ctx    context.Context
	cancel context.CancelCauseFunc
	next   uint64 // the sequence number that is wanted
	fresh  bool   // the consumer has told nothing yet

	mu       sync.Mutex
	messages jetstream.MessagesContext // of the consumer; nil: there is none
}

func (s *Store) newTail(ctx context.Context, stream string, next uint64) *tail {
	t := &tail{s: s, stream: stream, next: max(next, 1)}
	t.ctx, t.cancel = context.WithCancelCause(ctx)
	forget := context.AfterFunc(s.ctx, func() { t.cancel(store.ErrUnavailable) })
	context.AfterFunc(t.ctx, func() {
		forget()
		t.drop()
	})
	return t
}

// read waits for the next message. gap says that messages before it are not in the stream any more.
func (t *tail) read() (m jetstream.Msg, sequence uint64, gap bool, err error) {
	for t.ctx.Err() == nil {
		messages, err := t.consume()
		if err == nil {
			m, err = messages.Next(jetstream.NextContext(t.ctx))
		}
		if err == nil {
			sequence, err = sequenceOf(m)
		}
		if err != nil {
			t.drop()
			wait(t.ctx)
			continue
		}
		gap := sequence > t.next
		switch {
		case sequence < t.next:
			continue
		case gap && !t.fresh: // lost on the way, or in the stream; a new consumer will tell
			t.drop()
			continue
		}
		t.next, t.fresh = sequence+1, false
		return m, sequence, gap, nil
	}
	return nil, 0, false, context.Cause(t.ctx)
}

func sequenceOf(m jetstream.Msg) (uint64, error) {
	about, err := m.Metadata()
	if err != nil {
		return 0, err
	}
	return about.Sequence.Stream, nil
}

// consume returns the present consumer, or makes one.
func (t *tail) consume() (jetstream.MessagesContext, error) {
	t.mu.Lock()
	messages := t.messages
	t.mu.Unlock()
	if messages != nil {
		return messages, nil
	}
	ctx, cancel := context.WithTimeout(t.ctx, t.s.patience.attempt)
	defer cancel()
	consumer, err := t.s.js.CreateConsumer(ctx, t.stream, jetstream.ConsumerConfig{
		DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:       t.next,
		AckPolicy:         jetstream.AckNonePolicy,
		InactiveThreshold: tailIdle,
		MemoryStorage:     true,
		Replicas:          1,
	})
	if err != nil {
		return nil, err
	}
	messages, err = consumer.Messages(jetstream.PullMaxMessagesWithBytesLimit(tailMessages, tailBytes),
		jetstream.PullExpiry(tailExpiry), jetstream.PullHeartbeat(tailHeartbeat))
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ctx.Err() != nil {
		messages.Stop()
		return nil, t.ctx.Err()
	}
	t.messages, t.fresh = messages, true
	return messages, nil
}

// drop gives up the consumer; the server forgets it by itself.
func (t *tail) drop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.messages != nil {
		t.messages.Stop()
		t.messages = nil
	}
}
