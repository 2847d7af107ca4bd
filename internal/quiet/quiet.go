// Package quiet is a log in which a flood of the same thing, such as what hostile clients do, makes a few lines and then one in a while.
//
//	log := quiet.New(slog.Default(), 1)
//	log.Note(slog.LevelWarn, "handshake", "a connection was closed", "source", source)
//
// What is the same is said by a reason, of which a program has few: it is a word in the source, never something that a client sends.
package quiet

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Interval is how long it takes, in a flood, from one line of a reason to the next.
const Interval = 10 * time.Second

// A Log is safe for concurrent use.
type Log struct {
	log   *slog.Logger
	lines int

	mu      sync.Mutex
	reasons map[string]*flood // guarded by mu
}

type flood struct {
	limit  *rate.Limiter
	untold int
}

// New returns a log that lets so many lines of each reason pass at once, 1 at least, and another one per Interval.
func New(log *slog.Logger, lines int) *Log {
	return &Log{log: log, lines: lines, reasons: make(map[string]*flood)}
}

// Note logs, unless it is too much. A line after some that were not logged says how many there were.
func (l *Log) Note(level slog.Level, reason, message string, attrs ...any) {
	untold, due := l.Count(reason)
	if !due {
		return
	}
	if untold > 0 {
		attrs = append(attrs, "more_since_last_line", untold)
	}
	l.log.Log(context.Background(), level, message, append(attrs, "reason", reason)...)
}

// Count is Note for who logs by himself, if a line is due. Untold is how many were not since the last one.
func (l *Log) Count(reason string) (untold int, due bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.reasons[reason]
	if f == nil {
		f = &flood{limit: rate.NewLimiter(rate.Every(Interval), l.lines)}
		l.reasons[reason] = f
	}
	if !f.limit.Allow() {
		f.untold++
		return 0, false
	}
	untold, f.untold = f.untold, 0
	return untold, true
}
