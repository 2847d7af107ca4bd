package https

import (
	"cmp"
	"time"
)

// Limits hold a listener's clients in bounds. A zero value means the default in brackets.
type Limits struct {
	Connections int // at a time [1000]; those taken over and those of other protocols are not counted
	PerSource   int // of them from one IPv4 address or IPv6 /64 [100]

	Handshakes          int // under way at a time [256]
	HandshakesPerSource int // of them from one source [32]

	HandshakeTimeout time.Duration // [10 s]

	// HeaderTimeout is for the header of a request, from its first byte on; for a connection's first, from the beginning.
	// Later ones of an HTTP/2 connection have IdleTimeout. [10 s]
	HeaderTimeout time.Duration

	// HeaderBytes is for the header of a request; net/http allows 4 KiB more. Beyond that a client gets 431, or, with
	// HTTP/2 and if more follows, is closed. [64 KiB]
	HeaderBytes int

	BodyTimeout   time.Duration // for the body of a request [1 min]
	AnswerTimeout time.Duration // for a client to take an answer, from its beginning and from each flush [1 min]
	IdleTimeout   time.Duration // between requests [2 min]
	Grace         time.Duration // for requests that run when the configuration is replaced [1 min]
}

// SettleTimeout is for how long a connection that has not brought a request yet is waited for when its configuration is
// replaced. net/http closes those that are older; an HTTP/2 client is told to come again.
const SettleTimeout = 5 * time.Second

// Limits of HTTP/2 (RFC 9113). net/http closes connections that reset streams faster than their handlers end, or have too
// many control frames queued.
const (
	maxStreams       = 100
	maxFrame         = 16 << 10 // bytes, the least that the protocol allows
	connectionWindow = 1 << 20  // bytes
	streamWindow     = 256 << 10
	pingAfter        = 30 * time.Second // of silence
	pingTimeout      = 15 * time.Second
)

func (l Limits) withDefaults() Limits {
	return Limits{
		Connections:         cmp.Or(l.Connections, 1000),
		PerSource:           cmp.Or(l.PerSource, 100),
		Handshakes:          cmp.Or(l.Handshakes, 256),
		HandshakesPerSource: cmp.Or(l.HandshakesPerSource, 32),
		HandshakeTimeout:    cmp.Or(l.HandshakeTimeout, 10*time.Second),
		HeaderTimeout:       cmp.Or(l.HeaderTimeout, 10*time.Second),
		HeaderBytes:         cmp.Or(l.HeaderBytes, 64<<10),
		BodyTimeout:         cmp.Or(l.BodyTimeout, time.Minute),
		AnswerTimeout:       cmp.Or(l.AnswerTimeout, time.Minute),
		IdleTimeout:         cmp.Or(l.IdleTimeout, 2*time.Minute),
		Grace:               cmp.Or(l.Grace, time.Minute),
	}
}
