package memory

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"jackfield/internal/store"
)

// A journal's records, the oldest first. Its store's lock guards it.
type journal struct {
	s         *Store
	retention store.Retention
	records   []store.JournalRecord
	bytes     int64
	last      uint64
	more      chan struct{} // closed, and replaced, when a record was added
	readers   map[*reader]struct{}
}

// Journal returns the journal of that name.
func (s *Store) Journal(ctx context.Context, name string, r store.Retention) (store.Journal, error) {
	if err := store.CheckName(name); err != nil {
		return nil, err
	}
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	j := s.journals[name]
	if j == nil {
		j = &journal{s: s, more: make(chan struct{}), readers: make(map[*reader]struct{})}
		s.journals[name] = j
	}
	j.retention = r
	return j, nil
}

// begin is that of the store; then it forgets what retention allows.
func (j *journal) begin(ctx context.Context) error {
	if err := j.s.begin(ctx); err != nil {
		return err
	}
	j.forget()
	return nil
}

func (j *journal) forget() {
	r := j.retention
	old := 0
	for ; old < len(j.records); old++ {
		oldest := j.records[old]
		tooOld := r.MaxAge > 0 && time.Since(oldest.Written) > r.MaxAge
		tooMuch := r.MaxBytes > 0 && j.bytes > r.MaxBytes
		if !tooOld && !tooMuch {
			break
		}
		j.bytes -= int64(len(oldest.Data))
	}
	j.records = slices.Delete(j.records, 0, old)
}

func (j *journal) Append(ctx context.Context, record []byte) (uint64, error) {
	if err := store.CheckValue(record); err != nil {
		return 0, err
	}
	if err := j.begin(ctx); err != nil {
		return 0, err
	}
	defer j.s.mu.Unlock()
	j.last++
	j.bytes += int64(len(record))
	j.records = append(j.records, store.JournalRecord{Sequence: j.last, Written: time.Now(), Data: bytes.Clone(record)})
	j.forget()
	close(j.more)
	j.more = make(chan struct{})
	return j.last, nil
}

func (j *journal) Bounds(ctx context.Context) (first, last uint64, err error) {
	if err := j.begin(ctx); err != nil {
		return 0, 0, err
	}
	defer j.s.mu.Unlock()
	return j.last + 1 - uint64(len(j.records)), j.last, nil
}

func (j *journal) Read(ctx context.Context, from uint64, limit int) ([]store.JournalRecord, error) {
	if err := j.begin(ctx); err != nil {
		return nil, err
	}
	defer j.s.mu.Unlock()
	records := j.since(from)
	records = slices.Clone(records[:min(len(records), max(limit, 0))])
	for i := range records {
		records[i].Data = bytes.Clone(records[i].Data)
	}
	return records, nil
}

func (j *journal) since(from uint64) []store.JournalRecord {
	first := j.last + 1 - uint64(len(j.records))
	if from <= first {
		return j.records
	}
	return j.records[min(from-first, uint64(len(j.records))):]
}

func (j *journal) Follow(ctx context.Context, from uint64) (store.JournalReader, error) {
	if err := j.begin(ctx); err != nil {
		return nil, err
	}
	defer j.s.mu.Unlock()
	r := &reader{j: j, next: from}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	j.readers[r] = struct{}{}
	context.AfterFunc(r.ctx, func() {
		j.s.mu.Lock()
		defer j.s.mu.Unlock()
		delete(j.readers, r)
	})
	return r, nil
}

func (j *journal) endReaders() {
	for r := range j.readers {
		r.cancel(fmt.Errorf("memory: %w", store.ErrUnavailable))
	}
	clear(j.readers)
}

// A reader needs no queue: the journal is one.
type reader struct {
	j      *journal
	next   uint64
	ctx    context.Context
	cancel context.CancelCauseFunc
}

func (r *reader) Next() (store.JournalRecord, error) {
	for {
		if r.ctx.Err() != nil {
			return store.JournalRecord{}, context.Cause(r.ctx)
		}
		record, more := r.take()
		if more == nil {
			return record, nil
		}
		select {
		case <-more:
		case <-r.ctx.Done():
		}
	}
}

// take returns the next record, or a channel that is closed when there is more.
func (r *reader) take() (store.JournalRecord, <-chan struct{}) {
	r.j.s.mu.Lock()
	defer r.j.s.mu.Unlock()
	r.j.forget()
	records := r.j.since(r.next)
	if len(records) == 0 {
		return store.JournalRecord{}, r.j.more
	}
	record := records[0]
	record.Data = bytes.Clone(record.Data)
	r.next = record.Sequence + 1
	return record, nil
}

func (r *reader) Close() error {
	r.cancel(context.Canceled)
	return nil
}
