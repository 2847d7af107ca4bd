// Package audit keeps one line of JSON for every session that opens, every session that closes, every request that is
// refused and every call of the API: who, from where, to what, by which rule, how long, how many bytes, and why it ended.
//
//	log, err := audit.Open(audit.Options{Path: path, MaxSize: 64 << 20, Keep: 10, Log: slog.Default()})
//	if err != nil {
//		return err
//	}
//	defer log.Close()
//
// The rules:
//   - No record, no session: when the line of an open cannot be written, the session is refused.
//   - Refusals are recorded up to a rate; a line "suppressed" says how many were not.
//   - A close or a refusal that cannot be written waits in a bounded queue and is written first when writing works
//     again; the next record to arrive tries. What does not fit is counted, and a line "lost" says how many.
//   - The file holds whole lines: what a full disk leaves of one is cut off again.
//   - Lines stand in the order of their times.
//   - What is in the file goes to the sink, too: the same lines in the same order.
//   - A session that was open when the server was killed is found by Unclosed at the next start, and closed by CloseLost.
//
// It does not call fsync for each line: a crash of the process loses nothing, a crash of the machine may lose the last
// seconds. It expects to be the only one that writes, renames or removes its file.
package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"jackfield"
)

// Options say where the audit log is and how it is rotated.
type Options struct {
	Path string // created with mode 0600; its directory must exist

	// MaxSize is the size in bytes above which the file is rotated: it becomes Path.1, Path.1 becomes Path.2, and so on.
	// 0: it is never rotated. A rotation that fails is logged and tried again later; until then the file grows, as it
	// does on systems where an open file cannot be renamed.
	MaxSize int64

	// Keep is the number of old files that are kept, at least 1 where MaxSize is set.
	Keep int

	// Sink is given every line that was written; may be nil.
	Sink Sink

	// Log is told once when writing begins to fail, once when it works again, and of each rotation that fails.
	Log *slog.Logger
}

// A Sink is given lines of the audit. Add is called in the hot path, under a lock: it never waits and it cannot fail. The
// line, which ends with a newline, is valid during the call only.
type Sink interface {
	Add(line []byte)
}

// A Log is an audit log. It may be used by many goroutines at once.
type Log struct {
	log  *slog.Logger
	sink Sink // may be nil

	mu      sync.Mutex // guards what follows
	file    *lineFile
	buffer  bytes.Buffer // the line that is being made
	encoder *json.Encoder
	waiting queue
	failing bool // the last write failed

	refusals   *rate.Limiter
	reads      *rate.Limiter // of calls that only look
	suppressed int           // refusals and reads beyond that since the last line that says so
}

var _ jackfield.Recorder = (*Log)(nil)

// Open opens the audit log, and makes it where there is none. A line that a crash left unfinished is cut off.
func Open(opts Options) (*Log, error) {
	if opts.MaxSize > 0 && opts.Keep < 1 {
		return nil, fmt.Errorf("audit log %s: keep is %d, at least 1 old file must be kept", opts.Path, opts.Keep)
	}
	file, err := openLineFile(opts)
	if err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	l := &Log{
		log: opts.Log, sink: opts.Sink, file: file,
		refusals: rate.NewLimiter(refusalsPerSecond, refusalsAtOnce),
		reads:    rate.NewLimiter(readsPerSecond, readsAtOnce),
	}
	l.encoder = json.NewEncoder(&l.buffer)
	l.encoder.SetEscapeHTML(false)
	return l, nil
}

// Opened writes the record of an open. When it cannot, it returns a refusal of kind [jackfield.Internal].
func (l *Log) Opened(r *jackfield.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.record(newLine(eventOpen, r)); err != nil {
		refusal := jackfield.Refuse(jackfield.Internal, "the audit log cannot be written", err)
		refusal.By = "audit"
		return refusal
	}
	return nil
}

// Closed writes the record of a close, or keeps it until it can be written.
func (l *Log) Closed(r *jackfield.Record) {
	e := newLine(eventClose, r)
	e.ending = &ending{
		DurationSeconds:  r.Duration.Seconds(),
		BytesFromClient:  r.Transfer.FromClient,
		BytesFromService: r.Transfer.FromService,
		End:              clip(r.End.Cause),
		EndDetails:       clip(r.End.Details),
	}
	l.keep(e, false)
}

// How many refusals are recorded: so few that they cannot push the sessions' records out of the files soon, and more than
// a person reads. Whoever can connect can be refused, thousands of times a second.
const (
	refusalsPerSecond = 100
	refusalsAtOnce    = 1000

	readsPerSecond = 20 // that succeed: whoever has a token can make thousands, too
	readsAtOnce    = 1000
)

// Refused writes the record of a refusal, or keeps it until it can be written. Refusals beyond the rate are counted.
func (l *Log) Refused(r *jackfield.Record) {
	if !l.allow(l.refusals) {
		return
	}
	e := newLine(eventRefuse, r)
	e.refusal = &refusal{Kind: r.Kind, Details: clip(r.Details)}
	l.keep(e, true)
}

// allow says whether there is room for one more of what is cheap to make, and counts it if there is not.
func (l *Log) allow(kind *rate.Limiter) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !kind.Allow() {
		l.suppressed++
		return false
	}
	l.tellSuppressed()
	return true
}

// tellSuppressed writes how many refusals and reads were only counted, or keeps the line until it can be written.
func (l *Log) tellSuppressed() {
	if l.suppressed == 0 {
		return
	}
	notice := missing(eventSuppressed, l.suppressed)
	l.suppressed = 0
	if l.write(notice) != nil {
		l.waiting.add(notice, true)
	}
}

// SetRotation changes MaxSize and Keep of the options.
func (l *Log) SetRotation(maxSize int64, keep int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.file.setRotation(maxSize, keep)
}

// Close writes what waits and closes the file. It says how many records could not be written.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tellSuppressed()
	err := l.drain()
	if n := l.waiting.count(); n > 0 {
		err = fmt.Errorf("audit log: %d records are lost: %w", n, err)
		l.waiting = queue{}
	}
	if closing := l.file.close(); err == nil {
		err = closing
	}
	return err
}

// keep writes the record or lets it wait; of refusals fewer wait.
func (l *Log) keep(e entry, refusal bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.record(e) != nil {
		l.waiting.add(l.buffer.Bytes(), refusal)
	}
}

// record leaves the line in l.buffer. The time is set here, under the lock, so that lines are in order.
func (l *Log) record(e entry) error {
	e.setTime(timestamp())
	l.buffer.Reset()
	if err := l.encoder.Encode(e); err != nil {
		return err
	}
	return l.write(l.buffer.Bytes())
}

// write appends one line after all that wait, and tells the log when writing begins or ceases to fail.
func (l *Log) write(line []byte) error {
	waiting := l.waiting.count()
	err := l.drain()
	if err == nil {
		err = l.append(line)
	}
	switch {
	case err != nil && !l.failing:
		l.log.Error("audit log cannot be written: new sessions are refused", "error", err)
	case err == nil && l.failing:
		l.log.Info("audit log can be written again", "records_waited_or_lost", waiting)
	}
	l.failing = err != nil
	return err
}

// append puts one line into the file, and gives it to the sink when it is there.
func (l *Log) append(line []byte) error {
	if err := l.file.write(line); err != nil {
		return err
	}
	if l.sink != nil {
		l.sink.Add(line)
	}
	return nil
}

// drain writes what waits. It leaves l.buffer alone, which may hold the caller's line.
func (l *Log) drain() error {
	for len(l.waiting.lines) > 0 {
		if err := l.append(l.waiting.lines[0]); err != nil {
			return err
		}
		l.waiting.pop()
	}
	if l.waiting.lost == 0 {
		return nil
	}
	if err := l.append(LostLine(l.waiting.lost)); err != nil {
		return err
	}
	l.waiting.lost = 0
	return nil
}

func timestamp() string { return time.Now().UTC().Format(TimeFormat) }
