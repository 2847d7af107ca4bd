package journal

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"jackfield/internal/audit"
)

// maxAhead is how many bytes of lines Recover lets wait at once.
const maxAhead = 1 << 20

// Recover makes up for how the last run ended: lines that the file has and the journal has not are added to the journal; lines
// that a crash of the machine took from the file and the journal has are put back; and sessions that were open are closed with
// the end [audit.EndLost] in both, as [audit.Log.Unclosed] finds them. It returns when all of that is in both.
//
// It is called before the first listener serves, once the log has w for its sink. It touches nothing of other servers. Killed
// or failed, it can be called again and ends what it began: each line is there once. After an error a server must not serve,
// for lines of a new run would hide the gap. An old file that cannot be read is no error, but is logged.
func Recover(ctx context.Context, log *audit.Log, w *Writer) error {
	if err := w.reconcile(ctx, log); err != nil {
		return fmt.Errorf("audit of the last run: %w", err)
	}
	if err := w.closeLost(ctx, log); err != nil {
		return err
	}
	return w.Flush(ctx)
}

func (w *Writer) closeLost(ctx context.Context, log *audit.Log) error {
	open := log.Unclosed(w.server)
	waiting := 0
	for _, line := range open {
		if err := log.CloseLost(line); err != nil {
			return err
		}
		if waiting += len(line) + noticeSize; waiting < maxAhead {
			continue
		}
		if err := w.Flush(ctx); err != nil {
			return err
		}
		waiting = 0
	}
	if len(open) > 0 {
		w.log.Info("sessions of an earlier run have their end recorded as lost", "sessions", len(open))
	}
	return nil
}

func (w *Writer) reconcile(ctx context.Context, log *audit.Log) error {
	last := w.lastIn(log)
	if last == nil {
		return nil
	}
	t, err := w.readTail(ctx, last)
	if err != nil {
		return err
	}
	window, anchored := find(log, t.anchor)
	d := difference{writer: w, tail: t, anchored: anchored, only: make(map[string]bool, len(t.after)), oldest: w.oldest()}
	for _, line := range t.after {
		d.only[string(line)] = true
	}
	if err := d.addMissing(ctx, log.Lines(window)); err != nil {
		return err
	}
	return d.restoreMissing(log)
}

// near is how many bytes of the file are looked through first: what is looked for almost always stands there.
const near = 4 << 20

// lastIn returns the last line of the file that is about a request to this server; nil if there is none.
func (w *Writer) lastIn(log *audit.Log) []byte {
	for _, window := range []int64{near, audit.Window} {
		var last []byte
		for line, err := range log.Lines(window) {
			if err == nil && w.isOurs(line) { // Unclosed logs the error
				last = append(last[:0], trim(line)...)
			}
		}
		if last != nil {
			return last
		}
	}
	return nil
}

// find says whether the line is in the file, and how many of its last bytes to look through for what is behind it.
func find(log *audit.Log, wanted []byte) (window int64, found bool) {
	for _, window := range []int64{near, audit.Window} {
		for line, err := range log.Lines(window) {
			if err == nil && wanted != nil && bytes.Equal(trim(line), wanted) {
				return window, true
			}
		}
	}
	return audit.Window, false
}

// A difference is what file and journal do not both have of the lines behind the anchor.
type difference struct {
	writer   *Writer
	tail     tail
	anchored bool            // the anchor stands in the file
	only     map[string]bool // lines behind the anchor that were not met in the file yet
	oldest   string          // the time of the oldest line that is added
	behind   bool            // the anchor was passed
	waiting  int             // bytes that were added since the last flush
}

// addMissing adds to the journal what only the file has.
func (d *difference) addMissing(ctx context.Context, lines iter.Seq2[[]byte, error]) error {
	for line, err := range lines {
		if err != nil || !d.isMissing(trim(line)) {
			continue
		}
		d.writer.Add(line)
		if d.waiting += len(line); d.waiting < maxAhead {
			continue
		}
		if err := d.writer.Flush(ctx); err != nil {
			return err
		}
		d.waiting = 0
	}
	return d.writer.Flush(ctx)
}

// isMissing looks at the next line of the file.
func (d *difference) isMissing(line []byte) bool {
	head, ok := audit.ParseHead(line)
	if !ok || len(head.ID) > 0 && !head.IsOf(d.writer.server) {
		return false
	}
	if d.anchored && bytes.Equal(line, d.tail.anchor) {
		d.behind = true
		return false
	}
	if !d.anchored && d.tail.isBefore(placeOf(head)) {
		d.behind = true
	}
	if !d.behind || string(head.Time) < d.oldest {
		return false
	}
	if d.only[string(line)] {
		delete(d.only, string(line))
		return false
	}
	return true
}

// restoreMissing puts back into the file what only the journal has. A line "lost" may be about the journal, and stays there.
func (d *difference) restoreMissing(log *audit.Log) error {
	if !d.anchored {
		return nil
	}
	for _, line := range slices.Backward(d.tail.after) {
		head, ok := audit.ParseHead(line)
		if !ok || !d.only[string(line)] || string(head.Event) == audit.EventLost {
			continue
		}
		if err := log.Restore(append(bytes.Clone(line), '\n')); err != nil {
			return err
		}
	}
	return nil
}

// oldest is the time of the oldest line that is added.
func (w *Writer) oldest() string {
	if w.maxAge == 0 {
		return ""
	}
	return time.Now().UTC().Add(-w.maxAge).Format(audit.TimeFormat)
}

func (w *Writer) isOurs(line []byte) bool {
	head, ok := audit.ParseHead(line)
	return ok && head.IsOf(w.server)
}

func trim(line []byte) []byte { return bytes.TrimSuffix(line, []byte("\n")) }
