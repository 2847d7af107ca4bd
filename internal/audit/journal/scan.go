package journal

import (
	"context"
	"iter"
	"sort"
	"time"

	"jackfield/internal/store"
)

// chunk is how many records are read at once: they may be large.
const chunk = 32

// oldestFirst tells the records from the number on, up to the newest.
func oldestFirst(ctx context.Context, j store.Journal, from uint64) iter.Seq2[store.JournalRecord, error] {
	return func(yield func(store.JournalRecord, error) bool) {
		for {
			records, err := j.Read(ctx, from, chunk)
			if err != nil {
				yield(store.JournalRecord{}, err)
				return
			}
			for _, r := range records {
				if !yield(r, nil) {
					return
				}
				from = r.Sequence + 1
			}
			if len(records) == 0 {
				return
			}
		}
	}
}

// newestFirst tells the records from last down to first.
func newestFirst(ctx context.Context, j store.Journal, first, last uint64) iter.Seq2[store.JournalRecord, error] {
	return func(yield func(store.JournalRecord, error) bool) {
		for first <= last {
			from := max(first, last-min(last, chunk-1))
			records, err := readBetween(ctx, j, from, last)
			if err != nil {
				yield(store.JournalRecord{}, err)
				return
			}
			for i := len(records) - 1; i >= 0; i-- {
				if !yield(records[i], nil) {
					return
				}
			}
			if from == 0 {
				return
			}
			last = from - 1
		}
	}
}

// readBetween returns all records with numbers from first to last.
func readBetween(ctx context.Context, j store.Journal, first, last uint64) ([]store.JournalRecord, error) {
	var all []store.JournalRecord
	for first <= last {
		records, err := j.Read(ctx, first, int(min(last-first+1, chunk)))
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			if r.Sequence > last {
				return all, nil
			}
			all = append(all, r)
			first = r.Sequence + 1
		}
		if len(records) == 0 {
			break
		}
	}
	return all, nil
}

// firstWritten returns the number from which on records were written at that time or later.
func firstWritten(ctx context.Context, j store.Journal, first, last uint64, at time.Time) (uint64, error) {
	var failed error
	n := sort.Search(int(last-first+1), func(i int) bool {
		records, err := j.Read(ctx, first+uint64(i), 1)
		if err != nil {
			failed = err
		}
		return failed != nil || len(records) == 0 || !records[0].Written.Before(at)
	})
	return first + uint64(n), failed
}
