package journal

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"jackfield/internal/store"
)

// What one call of Query does at most.
const (
	MaxPage      = 1000     // lines that it returns
	maxScan      = 4096     // records that it looks at
	maxScanBytes = 16 << 20 // of them
)

// clocks is how far the clocks of the servers and the store may be apart when a search by time is cut short.
const clocks = 5 * time.Minute

// A Reader asks the journal. It may be used by many goroutines at once.
type Reader struct {
	journal store.Journal
}

// NewReader returns a reader of the journal.
func NewReader(j store.Journal) *Reader { return &Reader{j} }

// A Page is what a query has found.
type Page struct {
	Records []Record
	Next    Cursor // where to go on; zero when all has been looked at
	Damaged int    // records and lines that were left out because they cannot be read
}

// Query returns at most limit lines (at least 1, at most MaxPage) that fit the filter and stand behind the cursor, in the
// order that the filter asks for. Without a cursor it begins at the newest line, or the oldest. What it looks at is bounded: a
// page may have few lines or none and yet a Next. A cursor whose line has been forgotten goes on with the oldest that is there.
//
// Errors are ErrFilter, ErrCursor, or those of the store.
func (r *Reader) Query(ctx context.Context, f Filter, after Cursor, limit int) (Page, error) {
	first, last, err := r.begin(ctx, &f, after)
	if err != nil || first > last {
		return Page{}, err
	}
	records, err := r.records(ctx, &f, after, first, last)
	if err != nil {
		return Page{}, err
	}
	q := query{filter: &f, after: after, limit: min(max(limit, 1), MaxPage)}
	for record, err := range records {
		if err != nil {
			return Page{}, err
		}
		if !q.add(record) {
			break
		}
	}
	return q.page, nil
}

// begin checks what was asked and returns the bounds of the journal.
func (r *Reader) begin(ctx context.Context, f *Filter, after Cursor) (first, last uint64, err error) {
	if err := f.Check(); err != nil {
		return 0, 0, err
	}
	first, last, err = r.journal.Bounds(ctx)
	if err == nil && after.sequence > last {
		err = fmt.Errorf("%w: it is behind the end", ErrCursor)
	}
	return first, last, err
}

func (r *Reader) records(ctx context.Context, f *Filter, after Cursor, first, last uint64) (iter.Seq2[store.JournalRecord, error], error) {
	switch {
	case !f.OldestFirst && after.IsZero():
		return newestFirst(ctx, r.journal, first, last), nil
	case !f.OldestFirst:
		return newestFirst(ctx, r.journal, first, after.sequence), nil
	case after.IsZero() && !f.Since.IsZero():
		from, err := firstWritten(ctx, r.journal, first, last, f.Since.Add(-clocks))
		return oldestFirst(ctx, r.journal, from), err
	}
	return oldestFirst(ctx, r.journal, max(first, after.sequence)), nil
}

// A query is one call of Query on its way through the records.
type query struct {
	filter  *Filter
	after   Cursor
	limit   int
	page    Page
	scanned int
	bytes   int
}

// add looks at one record and says whether the next one is wanted.
func (q *query) add(record store.JournalRecord) bool {
	if q.exhausted(record) {
		return false
	}
	server, lines, ok := decode(record.Data)
	if !ok {
		q.page.Damaged++
	}
	for at, line := range q.inOrder(lines) {
		c := Cursor{record.Sequence, at}
		if !q.after.IsZero() && !q.isBehind(c) {
			continue
		}
		found, ok := parseLine(line)
		if !ok {
			q.page.Damaged++
			continue
		}
		found.Cursor, found.Server = c, server
		if !q.filter.matches(&found) {
			continue
		}
		q.page.Records = append(q.page.Records, found)
		if len(q.page.Records) == q.limit {
			q.page.Next = c
			return false
		}
	}
	q.scanned++
	q.bytes += len(record.Data)
	q.after = q.end(record, lines)
	return true
}

// exhausted says whether the query ends before this record, and where it goes on.
func (q *query) exhausted(record store.JournalRecord) bool {
	since := q.filter.Since
	if !q.filter.OldestFirst && !since.IsZero() && record.Written.Before(since.Add(-clocks)) {
		return true // lines are older than their record
	}
	if q.scanned < maxScan && q.bytes < maxScanBytes {
		return false
	}
	q.page.Next = q.after
	return true
}

func (q *query) inOrder(lines [][]byte) iter.Seq2[int, []byte] {
	if q.filter.OldestFirst {
		return slices.All(lines)
	}
	return slices.Backward(lines)
}

func (q *query) isBehind(c Cursor) bool {
	if q.filter.OldestFirst {
		return c.Compare(q.after) > 0
	}
	return c.Compare(q.after) < 0
}

// end is the cursor behind a record.
func (q *query) end(record store.JournalRecord, lines [][]byte) Cursor {
	if q.filter.OldestFirst {
		return Cursor{record.Sequence, max(len(lines)-1, 0)}
	}
	return Cursor{record.Sequence, 0}
}
