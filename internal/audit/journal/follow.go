package journal

import (
	"context"

	"jackfield/internal/store"
)

// A Follower tells lines as they come. It is used by one goroutine.
type Follower struct {
	reader  store.JournalReader
	filter  Filter
	after   Cursor
	found   []Record
	damaged int
}

// Follow tells the lines that fit the filter: those behind the cursor that are there, then those that come, in their order,
// until ctx ends. Without a cursor it begins with what comes from now on; a cursor whose line has been forgotten goes on with
// the oldest that is there. Errors are as those of [Reader.Query].
func (r *Reader) Follow(ctx context.Context, f Filter, after Cursor) (*Follower, error) {
	_, last, err := r.begin(ctx, &f, after)
	if err != nil {
		return nil, err
	}
	from := after.sequence
	if after.IsZero() {
		from = last + 1
	}
	reader, err := r.journal.Follow(ctx, from)
	if err != nil {
		return nil, err
	}
	return &Follower{reader: reader, filter: f, after: after}, nil
}

// Next waits for the next line. After an error the follower has ended: that of the context, or of the store. Whoever begins
// anew with the cursor of the last line misses nothing.
func (f *Follower) Next() (Record, error) {
	for len(f.found) == 0 {
		record, err := f.reader.Next()
		if err != nil {
			return Record{}, err
		}
		f.add(record)
	}
	next := f.found[0]
	f.found = f.found[1:]
	return next, nil
}

func (f *Follower) add(record store.JournalRecord) {
	server, lines, ok := decode(record.Data)
	if !ok {
		f.damaged++
	}
	for at, line := range lines {
		c := Cursor{record.Sequence, at}
		if c.Compare(f.after) <= 0 {
			continue
		}
		found, ok := parseLine(line)
		if !ok {
			f.damaged++
			continue
		}
		found.Cursor, found.Server = c, server
		if f.filter.matches(&found) {
			f.found = append(f.found, found)
		}
	}
}

// Damaged returns how many records and lines were left out because they cannot be read.
func (f *Follower) Damaged() int { return f.damaged }

// Close ends the follower.
func (f *Follower) Close() error { return f.reader.Close() }
