// Package agentd is the agent's side of Jackfield: the process on a machine that others cannot reach, which offers services of that
// machine and its network to a server. docs/protocols/agent.md has what it says to the server.
//
//	a := agentd.New(agentd.Options{Version: "jackfield 1.0", Log: log}, agentd.Offer{Services: services, Allow: allow})
//	err := a.Dial(ctx, agentd.Server{Address: "gw.example:8443", TLS: config}, nil) // until ctx ends, or the server has it drain
//
// Rules:
//   - The agent does nothing that its owner did not offer: a service by its name, or an address in its allow-list. What the server
//     asks for besides is refused, and logged.
//   - Each stream has a connection of its own. All end with the link over which they were asked for.
//   - A link that is lost is dialled again (Pauses), for ever.
//   - When ctx ends, the server is told, no new stream begins, and those that are open have Options.DrainTimeout.
//
// It makes no routes and reads no configuration: that is the command line's.
package agentd

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"jackfield"
	"jackfield/internal/link/control"
	"jackfield/internal/relay"
)

// ErrDrained is why Dial returns when the server has asked the agent to end: it is to be started again.
var ErrDrained = errors.New("the server has asked the agent to end")

// Options are what an agent is made with.
type Options struct {
	Version string // of the program, for the server
	Log     *slog.Logger

	// DrainTimeout is how long open streams go on when the agent is to end. SetDrainTimeout changes it.
	DrainTimeout time.Duration

	// Reload reads the configuration again, when the server asks for it. Nil: it cannot be.
	Reload func() (Offer, error)

	// Renewal is how the agent's certificate is renewed over the link. Nil: it is not.
	Renewal Renewal

	// Address makes the route to an address of the allow-list.
	Address func(address string) (jackfield.Route, error)
}

// Renewal is what the agent has to do with its certificate; *membership.Membership is one. All is in PEM.
type Renewal interface {
	NeedsRenewal(now time.Time) bool

	// Rotated says whether a connection shows that the server has a new authority, so that it is time, too.
	Rotated(tls.ConnectionState) bool

	Request() ([]byte, error)
	Save(certificate, authorities []byte) error

	// Check says what, by this machine's clock, keeps the certificate from being good.
	Check(now time.Time) error
}

// An Offer is what the agent's owner lets others use.
type Offer struct {
	Services []Service
	Allow    func(address string) error // says why an address ("host:port") may not be asked for
	Tunnel   TunnelDefaults
}

// A Service is what an agent offers by name.
type Service struct {
	Name        jackfield.Name
	Description string
	Route       jackfield.Route
}

// TunnelDefaults are the arguments of TCPRemoteConnect that the server leaves empty: "host:port", or empty.
type TunnelDefaults struct{ Server, Local string }

// A Server is where an outbound agent dials.
type Server struct {
	Address string // "host:port"

	// TLS returns the configuration of a connection (ALPN), with the certificate that the agent has now, and what it trusts.
	TLS func(protocol string) *tls.Config
}

// An Agent is an agent at work.
type Agent struct {
	Options
	offer   atomic.Pointer[Offer]
	started time.Time

	drainTimeout atomic.Int64
	pause        func(without time.Duration) time.Duration // before dialling again

	streams *streams
	opened  atomic.Int64
	running atomic.Int64
	past    relayed // by streams that have ended
	tunnels tunnels

	drained chan struct{} // closed when the server has asked the agent to end
	drain   sync.Once

	mu   sync.Mutex // guards what follows
	link *link      // the one that is up; nil
	live map[*relay.Counters]struct{}
}

// relayed counts bytes.
type relayed struct{ toServices, fromServices atomic.Int64 }

// New makes an agent ready.
func New(o Options, offer Offer) *Agent {
	a := &Agent{
		Options: o, started: time.Now(), pause: control.Pause, streams: newStreams(), drained: make(chan struct{}), live: make(map[*relay.Counters]struct{}),
	}
	a.drainTimeout.Store(int64(o.DrainTimeout))
	a.offer.Store(&offer)
	return a
}

// SetOffer replaces what the agent offers, and tells the server. Streams that are open go on.
func (a *Agent) SetOffer(offer Offer) {
	a.offer.Store(&offer)
	a.tunnels.keep(offer.Allow)
	if l := a.current(); l != nil {
		l.register()
	}
}

// SetDrainTimeout replaces Options.DrainTimeout, unless the agent is about to end.
func (a *Agent) SetDrainTimeout(t time.Duration) { a.drainTimeout.Store(int64(t)) }

// ReloadNow reads the configuration again, as when the server asks for it.
func (a *Agent) ReloadNow() { a.reload() }

// register is what the agent offers, for the server.
func (o *Offer) register() *control.Register {
	m := new(control.Register)
	for _, s := range o.Services {
		m.Services = append(m.Services, control.Service{Name: string(s.Name), Description: s.Description})
	}
	return m
}

func (a *Agent) current() *link {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.link
}

// use makes a link the current one, in place of another.
func (a *Agent) use(l *link) {
	a.mu.Lock()
	old := a.link
	a.link = l
	a.mu.Unlock()
	if old != nil {
		old.cancel(errReplaced)
	}
}

func (a *Agent) forget(l *link) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.link == l {
		a.link = nil
	}
}

// status is how the agent fares.
func (a *Agent) status() *control.Status {
	s := &control.Status{
		Up: time.Since(a.started), Streams: a.running.Load(), Opened: a.opened.Load(),
		ToServices: a.past.toServices.Load(), FromServices: a.past.fromServices.Load(), MihiniTunnels: int32(a.tunnels.count()),
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for live := range a.live {
		t := live.Transfer()
		s.ToServices += t.FromClient
		s.FromServices += t.FromService
	}
	return s
}

// wait waits until the agent is to end, and returns why. From then on no stream begins, and the server has been told.
func (a *Agent) wait(ctx context.Context) error {
	var why error
	select {
	case <-ctx.Done():
		why = context.Cause(ctx)
	case <-a.drained:
		why = ErrDrained
	}
	a.streams.close()
	if l := a.current(); l != nil && why != ErrDrained {
		l.leave()
	}
	return why
}

// settle waits until no stream is open, or DrainTimeout has passed, or cutNow is closed.
func (a *Agent) settle(cutNow <-chan struct{}) {
	select {
	case <-a.streams.over:
	case <-time.After(time.Duration(a.drainTimeout.Load())):
	case <-cutNow:
	}
}
