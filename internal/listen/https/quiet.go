package https

import (
	"log/slog"
	"sync"
	"time"
)

// The reasons for which connections and requests are refused, for metrics and log.
const (
	ReasonConnections = "connections" // the listener has as many as it may
	ReasonSource      = "source"      // the source has as many as it may
	ReasonHandshakes  = "handshakes"  // too many are under way
	ReasonTimeout     = "timeout"     // TLS was not set up in time
	ReasonPlain       = "plain_http"  // HTTP without TLS on a port with TLS
	ReasonTLS         = "tls"         // TLS could not be set up
	ReasonSilence     = "silence"     // no request came in time
	ReasonHeader      = "header"      // a request's header is too long
	ReasonFraming     = "framing"     // where a request ends can be read in more than one way
	ReasonTarget      = "target"      // the request is not for this server
	ReasonOrigin      = "origin"      // a browser sent it for another site
)

// quietTime is for how long, after a line, others of its reason are only counted.
const quietTime = 10 * time.Second

// quiet is a log of which a flood of hostile clients makes one line in a while.
type quiet struct {
	log *slog.Logger

	mu      sync.Mutex
	reasons map[string]*burst // guarded by mu; one per Reason
}

type burst struct {
	last   time.Time
	untold int
}

func newQuiet(log *slog.Logger) *quiet { return &quiet{log: log, reasons: make(map[string]*burst)} }

func (q *quiet) note(reason, message string, attrs ...any) {
	untold, due := q.count(reason)
	if !due {
		return
	}
	attrs = append(attrs, "reason", reason)
	if untold > 0 {
		attrs = append(attrs, "more_since_last_line", untold)
	}
	q.log.Info(message, attrs...)
}

func (q *quiet) count(reason string) (untold int, due bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	b := q.reasons[reason]
	if b == nil {
		b = new(burst)
		q.reasons[reason] = b
	}
	now := time.Now()
	if now.Sub(b.last) < quietTime {
		b.untold++
		return 0, false
	}
	untold, b.untold, b.last = b.untold, 0, now
	return untold, true
}
