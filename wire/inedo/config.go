package inedo

import (
	"cmp"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"math"
	"time"
)

// The defaults of Options and ClientConfig.
const (
	DefaultPort    = 46336
	DefaultTimeout = 30 * time.Second
	DefaultMaxData = 64 << 20
	DefaultGrace   = 250 * time.Millisecond
)

// LargestMaxData is the largest maximum of a message's data: every length on the wire is an int32.
const LargestMaxData = math.MaxInt32 - 64

// Options are for both roles.
type Options struct {
	// Mode is the encryption that an agent requires. A client insists on it, whatever the agent says.
	Mode Mode

	// Key is for ModeAES, TLS for ModeSSL; neither may be missing there. An agent's TLS has a certificate, a client's says
	// which one it believes. Versions before TLS 1.2 are refused. The config is used as it is, and not copied.
	Key Key
	TLS *tls.Config

	// The protocol versions that are spoken; V1 to V2 by default.
	MinProtocol, MaxProtocol Protocol

	// Timeout is the time for the whole handshake, TLS included (30 s).
	Timeout time.Duration

	// MaxData is the length in bytes of the longest data that a message may have, in either direction (64 MiB). In
	// ModeAES, which hides the exact length, up to 15 bytes more are received.
	MaxData int

	random io.Reader // of initialization vectors; tests have their own
}

// AgentConfig is for the agent's role, "server" in the protocol's words.
type AgentConfig struct {
	Options

	// Version is what the agent says of its program (51.0.0.0, see DefaultMajor).
	Version Version

	// Width is how it says it (wide).
	Width Width

	// StraightID also takes a protocol ID in the order in which it is printed.
	StraightID bool

	// ExactRequest takes only the two requests of the document: versions 1000 to 2000, and version 1000 with a session ID
	// below 1000.
	ExactRequest bool
}

// ClientConfig is for the client's role.
type ClientConfig struct {
	Options

	// Width is the form of the agent's version in its reply. WidthAuto takes what comes: if nothing follows the narrow
	// form within Grace (250 ms), it was that.
	Width Width
	Grace time.Duration

	// AnyVersion takes an agent at its word that it speaks V2, whatever the version of its program. Otherwise that must be
	// at least 43, for an older agent may answer so by mistake: what it returns is then a session ID.
	AnyVersion bool

	// Type is the agent type in the header of messages in V1; V2 has none.
	Type AgentType
}

// withDefaults fills in what is not set, and says what cannot work.
func (o Options) withDefaults() (Options, error) {
	o.MinProtocol = cmp.Or(o.MinProtocol, V1)
	o.MaxProtocol = cmp.Or(o.MaxProtocol, V2)
	o.Timeout = cmp.Or(o.Timeout, DefaultTimeout)
	o.MaxData = cmp.Or(o.MaxData, DefaultMaxData)
	if o.random == nil {
		o.random = rand.Reader
	}
	return o, o.check()
}

func (o Options) check() error {
	switch {
	case !o.Mode.valid():
		return fmt.Errorf("%w: there is no %s", ErrConfig, o.Mode)
	case o.Mode == ModeAES && o.Key.IsZero():
		return fmt.Errorf("%w: AES mode needs a key", ErrConfig)
	case o.Mode == ModeSSL && o.TLS == nil:
		return fmt.Errorf("%w: SSL mode needs a TLS configuration", ErrConfig)
	case o.Mode == ModeSSL && o.TLS.MinVersion != 0 && o.TLS.MinVersion < tls.VersionTLS12:
		return fmt.Errorf("%w: TLS below version 1.2", ErrConfig)
	case !o.MinProtocol.known() || !o.MaxProtocol.known() || o.MinProtocol > o.MaxProtocol:
		return fmt.Errorf("%w: protocol versions %d to %d", ErrConfig, o.MinProtocol, o.MaxProtocol)
	case o.MaxData < 0 || o.MaxData > LargestMaxData:
		return fmt.Errorf("%w: data of at most %d bytes", ErrConfig, o.MaxData)
	case o.Timeout < 0:
		return fmt.Errorf("%w: a timeout of %v", ErrConfig, o.Timeout)
	}
	return nil
}

func (p Protocol) known() bool { return p == V1 || p == V2 }
