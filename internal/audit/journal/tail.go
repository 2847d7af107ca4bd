package journal

import (
	"bytes"
	"cmp"
	"context"
	"iter"
	"slices"
	"strconv"
	"strings"

	"jackfield/internal/audit"
	"jackfield/internal/store"
)

// How far back a server's last line is looked for among those of others.
const (
	maxTail      = 16 << 10 // records
	maxTailBytes = 64 << 20
)

// enoughEarlier is how many lines that are earlier than the one looked for show that it is not there: one is not enough, for
// clocks are set back.
const enoughEarlier = 256

// A tail is how the journal ends, as far as one server is concerned.
type tail struct {
	anchor []byte   // the newest line about a request that the file should have, too; nil: there is none
	after  [][]byte // the lines behind it, the newest first

	// read is the time of the oldest record that was looked at: the journal has no later line that is not behind the anchor.
	// It is empty when nothing can have been forgotten.
	read string
}

// readTail looks for the last line of the file in the journal. If it is there, the journal may be ahead: it is the anchor. If
// it is not, the file is ahead, and the newest line of the journal is the anchor.
func (w *Writer) readTail(ctx context.Context, last []byte) (tail, error) {
	var t tail
	earlier := 0
	newest := -1 // the index in t.after of the newest line about a request
	for line, err := range w.ownLines(ctx, &t.read) {
		if err != nil {
			return tail{}, err
		}
		if bytes.Equal(line, last) {
			t.anchor = line
			return t, nil
		}
		t.after = append(t.after, line)
		if !w.isOurs(line) {
			continue
		}
		if newest < 0 {
			newest = len(t.after) - 1
		}
		if placeOfLine(line).compare(placeOfLine(last)) < 0 {
			earlier++
		}
		if earlier == enoughEarlier {
			break
		}
	}
	if newest >= 0 {
		t.anchor, t.after = t.after[newest], t.after[:newest]
	}
	return t, nil
}

// ownLines tells this server's lines in the journal, the newest first, as far as it is looked through.
func (w *Writer) ownLines(ctx context.Context, read *string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		first, last, err := w.journal.Bounds(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		records, size := 0, 0
		for record, err := range newestFirst(ctx, w.journal, first, last) {
			if err != nil {
				yield(nil, err)
				return
			}
			if records++; records > maxTail || size > maxTailBytes {
				return
			}
			size += len(record.Data)
			*read = record.Written.UTC().Format(audit.TimeFormat)
			if !w.yieldOwn(record, yield) {
				return
			}
		}
		if first <= 1 {
			*read = ""
		}
	}
}

func (w *Writer) yieldOwn(record store.JournalRecord, yield func([]byte, error) bool) bool {
	server, lines, ok := decode(record.Data)
	if !ok || server != w.server {
		return true
	}
	for _, line := range slices.Backward(lines) {
		if !yield(line, nil) {
			return false
		}
	}
	return true
}

// isBefore says whether the journal ends before that place, going by times because the anchor does not stand in the file.
func (t *tail) isBefore(p place) bool {
	if t.anchor == nil {
		return t.read < p.time
	}
	return placeOfLine(t.anchor).compare(p) < 0
}

// A place is where a line stands in the audit of its server, as well as can be told from the line: clocks may have been set
// back between two runs.
type place struct {
	run  uint64
	time string
}

func placeOfLine(line []byte) place {
	head, _ := audit.ParseHead(line)
	return placeOf(head)
}

func placeOf(head audit.Head) place {
	_, rest, _ := strings.Cut(string(head.ID), "-")
	run, _, _ := strings.Cut(rest, "-")
	number, _ := strconv.ParseUint(run, 36, 64) // 0 of an id that is not ours
	return place{number, string(head.Time)}
}

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.run, q.run), strings.Compare(p.time, q.time))
}
