// Package linelog puts what a program writes to its standard error into the log, line by line, within limits: a program that
// writes without end fills neither the log nor the memory.
//
//	stderr := linelog.New(log.With("id", id))
//	io.Copy(stderr, pipe)
//	stderr.End()
package linelog

import (
	"bytes"
	"log/slog"
	"strings"

	"golang.org/x/time/rate"
)

const (
	maxLine   = 4 << 10 // bytes; the rest of a line is left out
	lineBurst = 1000    // lines at once
	lineRate  = 10      // lines per second after that
)

// A Log cuts a stream into lines and logs as many as the limit allows. It is used by one goroutine at a time.
type Log struct {
	log     *slog.Logger
	limit   *rate.Limiter
	line    []byte // begun; at most maxLine
	dropped int    // lines
}

// New returns a Log whose lines have the attributes of log.
func New(log *slog.Logger) *Log {
	return &Log{log: log, limit: rate.NewLimiter(lineRate, lineBurst)}
}

// Write takes a chunk. When a line in it exceeds the limit, those after it are dropped unseen. It never fails.
func (l *Log) Write(chunk []byte) (int, error) {
	size := len(chunk)
	for len(chunk) > 0 {
		piece, rest, ended := bytes.Cut(chunk, []byte("\n"))
		l.line = append(l.line, piece[:min(len(piece), maxLine-len(l.line))]...)
		if ended && !l.endLine() {
			lines := bytes.Count(rest, []byte("\n"))
			rest = rest[bytes.LastIndexByte(rest, '\n')+1:]
			l.dropped += lines
		}
		chunk = rest
	}
	return size, nil
}

// endLine logs the line that was begun, and reports whether it might.
func (l *Log) endLine() bool {
	line := l.line
	l.line = l.line[:0]
	if !l.limit.Allow() {
		l.dropped++
		return false
	}
	l.tellDropped()
	l.log.Info("program wrote to stderr", "line", text(line))
	return true
}

// End logs a last line without a line end, and how many were dropped.
func (l *Log) End() {
	if len(l.line) > 0 {
		l.endLine()
	}
	l.tellDropped()
}

func (l *Log) tellDropped() {
	if l.dropped > 0 {
		l.log.Warn("program wrote too much to stderr", "lines_dropped", l.dropped)
		l.dropped = 0
	}
}

func text(line []byte) string {
	return strings.ToValidUTF8(string(bytes.TrimSuffix(line, []byte("\r"))), "\uFFFD")
}
