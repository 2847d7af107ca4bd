// Package dial is the route to a service that listens on a TCP address or a Unix socket.
//
// Rules:
//   - Names are resolved each time the route opens; nothing is cached. A name's addresses are tried as RFC 8305 (happy
//     eyeballs) has it.
//   - Several addresses are tried in their order. One deadline stands over all of it, and each attempt has the remaining
//     time divided by the addresses that are left, so that one that swallows packets leaves time for the others.
//   - The stream that Open returns is the bare socket, with TCP keepalive as Go sets it (after 15 s of silence): a relay
//     can do with it what it cannot do with a wrapper.
//
// It does not balance load, check health, or remember which address failed.
package dial

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"time"

	"jackfield"
	"jackfield/internal/proxyproto"
)

// DefaultTimeout is the deadline of Open where the options give none.
const DefaultTimeout = 10 * time.Second

// Options say where a service is and how to connect to it.
type Options struct {
	// Addresses are tried in this order: "host:port", "[v6]:port" with a number or a service's name as the port, or
	// "unix:" and an absolute path. There is at least one.
	Addresses []string

	// Timeout is how long Open may take as a whole, resolution and the PROXY header included. Zero: DefaultTimeout.
	Timeout time.Duration

	// SendProxy is the version of the PROXY protocol in which the service is told the client's address. Zero: it is not.
	SendProxy proxyproto.Version

	// Resolver resolves host names. Nil: the system's.
	Resolver *net.Resolver
}

// A Route dials a service. It is safe for concurrent use.
type Route struct {
	name      string
	given     []string // the addresses as they were given
	addresses []address
	timeout   time.Duration
	sendProxy proxyproto.Version
	dialer    net.Dialer
}

var _ jackfield.Dialler = (*Route)(nil)

// New checks the options and returns their route. Its error names every address that is wrong. No name is resolved yet.
func New(o Options) (*Route, error) {
	addresses, err := parseAddresses(o.Addresses)
	if err != nil {
		return nil, err
	}
	switch {
	case o.Timeout < 0:
		return nil, errors.New("the timeout is negative")
	case o.Timeout == 0:
		o.Timeout = DefaultTimeout
	}
	if o.SendProxy != proxyproto.None {
		if _, err := proxyproto.Header(o.SendProxy, proxyproto.Addresses{}); err != nil {
			return nil, err
		}
	}
	return &Route{
		name:      "dial " + strings.Join(o.Addresses, ", "),
		given:     slices.Clone(o.Addresses),
		addresses: addresses,
		timeout:   o.Timeout,
		sendProxy: o.SendProxy,
		dialer:    net.Dialer{Resolver: o.Resolver, Control: keepUrgent},
	}, nil
}

// Destinations returns the addresses as the options gave them.
func (r *Route) Destinations() []string { return r.given }

// String returns "dial" and the addresses in their order.
func (r *Route) String() string { return r.name }

// Open connects to the first address that answers, and returns a *net.TCPConn or a *net.UnixConn without deadlines. Its
// error is a refusal of kind Unavailable; the details hold what became of every attempt and, if ctx was cancelled, the
// cause of that.
func (r *Route) Open(ctx context.Context, req *jackfield.Request) (jackfield.Stream, error) {
	header, err := r.header(req)
	if err != nil {
		return nil, err
	}
	opening, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()

	var failures []error
	for i, a := range r.addresses {
		stream, err := r.attempt(opening, a, len(r.addresses)-i, header)
		if err == nil {
			return stream, nil
		}
		failures = append(failures, err)
		if opening.Err() != nil {
			break
		}
	}
	return nil, refuse(ctx, failures)
}

// header returns what the service is sent before the client's bytes, nothing if it expects nothing.
func (r *Route) header(req *jackfield.Request) ([]byte, error) {
	if r.sendProxy == proxyproto.None {
		return nil, nil
	}
	return proxyproto.Header(r.sendProxy, proxyproto.Addresses{Source: req.Source, Local: req.Local})
}

// attempt connects to one address within its share of the time that ctx, which has a deadline, leaves for so many.
func (r *Route) attempt(ctx context.Context, a address, left int, header []byte) (jackfield.Stream, error) {
	deadline, _ := ctx.Deadline()
	if left > 1 {
		deadline = time.Now().Add(time.Until(deadline) / time.Duration(left))
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	// Not Dialer.DialTCP: given no local address it binds one (Go 1.26), and the system runs out of ports at a few
	// thousand connections a second.
	conn, err := r.dialer.DialContext(ctx, a.network, a.address)
	if err != nil {
		return nil, err
	}
	stream := conn.(jackfield.Stream) // a *net.TCPConn or a *net.UnixConn, by the network's name
	if err := announce(stream, header, deadline); err != nil {
		stream.Close()
		return nil, err
	}
	return stream, nil
}

// announce writes the PROXY header in one piece, as its document asks (section 2), and leaves no deadline behind.
func announce(stream jackfield.Stream, header []byte, deadline time.Time) error {
	if len(header) == 0 {
		return nil
	}
	if err := stream.SetWriteDeadline(deadline); err != nil {
		return err
	}
	if _, err := stream.Write(header); err != nil {
		return err
	}
	return stream.SetWriteDeadline(time.Time{})
}
