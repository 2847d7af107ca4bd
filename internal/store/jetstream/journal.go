package jetstream

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"jackfield/internal/store"
)

// journalWindow is how long the server knows the nonces of records. Attempts to append a record do not last that long.
const journalWindow = 10 * time.Second

type journal struct {
	s       *Store
	stream  jetstream.Stream
	name    string // of the stream
	subject string
}

// Journal returns the journal of that name. MaxBytes counts some 150 bytes more for each record.
func (s *Store) Journal(ctx context.Context, name string, r store.Retention) (store.Journal, error) {
	if err := store.CheckName(name); err != nil {
		return nil, err
	}
	j := &journal{
		s:       s,
		name:    "JOURNAL_" + s.options.Bucket + "_" + name,
		subject: "jackfield." + s.options.Bucket + ".journal." + name,
	}
	c := jetstream.StreamConfig{
		Name:       j.name,
		Subjects:   []string{j.subject},
		Storage:    jetstream.FileStorage,
		Replicas:   s.options.Replicas,
		MaxAge:     r.MaxAge,
		MaxBytes:   max(r.MaxBytes, 0),
		MaxMsgSize: store.MaxValue + 4096,
		Discard:    jetstream.DiscardOld,
		Duplicates: journalWindow,
		DenyDelete: true,
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = -1
	}
	if r.MaxAge > 0 {
		c.Duplicates = min(c.Duplicates, r.MaxAge)
	}
	err := s.patience.retry(ctx, func(ctx context.Context) (err error) {
		j.stream, err = s.js.CreateOrUpdateStream(ctx, c)
		return err
	})
	if err != nil {
		return nil, err
	}
	return j, nil
}

// Append adds a record, once: the server leaves out an attempt whose nonce it knows.
func (j *journal) Append(ctx context.Context, record []byte) (sequence uint64, err error) {
	if err := errors.Join(store.CheckValue(record), j.s.checkRoom()); err != nil {
		return 0, err
	}
	nonce := rand.Text()
	err = j.s.patience.retry(ctx, func(ctx context.Context) error {
		m := &nats.Msg{Subject: j.subject, Data: record}
		ack, err := j.s.js.PublishMsg(ctx, m, jetstream.WithMsgID(nonce), jetstream.WithRetryAttempts(0))
		if err == nil {
			sequence = ack.Sequence
		}
		return err
	})
	return sequence, err
}

// Bounds asks the leader.
func (j *journal) Bounds(ctx context.Context) (first, last uint64, err error) {
	err = j.s.patience.retry(ctx, func(ctx context.Context) error {
		info, err := j.stream.Info(ctx)
		if err == nil {
			first, last = info.State.FirstSeq, info.State.LastSeq
		}
		return err
	})
	if last == 0 {
		first = 1
	}
	return first, last, err
}

// Read asks for many records at once; those that are missing are few.
func (j *journal) Read(ctx context.Context, from uint64, limit int) ([]store.JournalRecord, error) {
	first, last, err := j.Bounds(ctx)
	if err != nil {
		return nil, err
	}
	var records []store.JournalRecord
	for from = max(from, first); from <= last && len(records) < limit; {
		n := min(limit-len(records), readers, int(min(last-from+1, readers)))
		batch, err := j.readBatch(ctx, from, n)
		if err != nil {
			return nil, err
		}
		records = append(records, batch...)
		from += uint64(n)
	}
	return records, nil
}

// readers is how many reads of a journal are under way at once.
const readers = 64

func (j *journal) readBatch(ctx context.Context, from uint64, n int) ([]store.JournalRecord, error) {
	batch := make([]store.JournalRecord, n)
	err := inParallel(n, readers, func(i int) error {
		return j.s.patience.retry(ctx, func(ctx context.Context) error {
			m, err := j.stream.GetMsg(ctx, from+uint64(i))
			if err == nil {
				batch[i] = store.JournalRecord{Sequence: m.Sequence, Written: m.Time, Data: m.Data}
			}
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				return nil
			}
			return err
		})
	})
	there := batch[:0]
	for _, r := range batch {
		if r.Sequence != 0 {
			there = append(there, r)
		}
	}
	return there, err
}

// Follow tells the records from a place on.
func (j *journal) Follow(ctx context.Context, from uint64) (store.JournalReader, error) {
	if _, _, err := j.Bounds(ctx); err != nil {
		return nil, err
	}
	return &journalReader{j.s.newTail(ctx, j.name, from)}, nil
}

type journalReader struct{ tail *tail }

func (r *journalReader) Next() (store.JournalRecord, error) {
	m, sequence, _, err := r.tail.read()
	if err != nil {
		return store.JournalRecord{}, err
	}
	about, err := m.Metadata()
	if err != nil {
		return store.JournalRecord{}, err
	}
	return store.JournalRecord{Sequence: sequence, Written: about.Timestamp, Data: m.Data()}, nil
}

func (r *journalReader) Close() error {
	r.tail.cancel(context.Canceled)
	return nil
}
