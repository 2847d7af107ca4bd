package mihini

import (
	"cmp"
	"time"
)

// The defaults of Options and of those of the two roles.
const (
	DefaultQueue         = 1 << 20
	DefaultLinkQueue     = 16 << 20
	DefaultStallTimeout  = 2 * time.Second
	DefaultStallBytes    = 128 << 10
	DefaultCloseDelay    = time.Second
	DefaultLinger        = 30 * time.Second
	DefaultMaxErrors     = 32
	DefaultListenTimeout = 10 * time.Second
	DefaultDialTimeout   = 10 * time.Second
)

// Options are for both roles. The zero value of each means its default.
type Options struct {
	// Queue is how many bytes wait at most for the reader of one stream (1 MiB), LinkQueue for those of all streams of
	// the link (16 MiB). A single frame always fits into an empty queue.
	Queue, LinkQueue int

	// While a queue is full, the whole link waits. A stream whose reader then takes fewer than StallBytes (128 KiB) in
	// StallTimeout (2 s) is closed with ErrStalled.
	StallTimeout time.Duration
	StallBytes   int

	// Linger is how long a half-closed stream may be idle before it is given up (30 s).
	Linger time.Duration

	// Strict takes CLOSE as the Mihini document has it: it ends both directions, at once. Bytes already queued for the
	// local side are still delivered.
	Strict bool

	// MaxErrors is the number of protocol errors within a minute that end the link (32).
	MaxErrors int

	// ProbeInterval is how often is looked whether the peer has sent a frame since. If not, it is asked for a sign of
	// life, and if none has come at the next look, the link ends: a dead peer is noticed within three intervals. It
	// should be longer than a peer may be busy with one frame: the original device reads nothing while it dials. 0
	// means never.
	ProbeInterval time.Duration

	// ProtocolError, if not nil, is told of each protocol error. The link's reader waits for it.
	ProtocolError func(error)
}

// ServerOptions are the options of the server's role.
type ServerOptions struct {
	Options

	// CloseDelay is how long the device must have sent nothing on a stream before the end of the client's direction is
	// passed on as CLOSE, for most devices then drop what the service still has to say (1 s). Negative: no delay, for
	// devices that half-close, such as ours.
	CloseDelay time.Duration

	// ListenTimeout is the time for the device's LISTEN (10 s).
	ListenTimeout time.Duration

	// ExactListen refuses a LISTEN with an id other than 0 or with a payload. Otherwise both are ignored.
	ExactListen bool
}

func (o Options) withDefaults() Options {
	o.Queue = cmp.Or(o.Queue, DefaultQueue)
	o.LinkQueue = cmp.Or(o.LinkQueue, DefaultLinkQueue)
	o.StallTimeout = cmp.Or(o.StallTimeout, DefaultStallTimeout)
	o.StallBytes = cmp.Or(o.StallBytes, DefaultStallBytes)
	o.Linger = cmp.Or(o.Linger, DefaultLinger)
	o.MaxErrors = cmp.Or(o.MaxErrors, DefaultMaxErrors)
	return o
}
