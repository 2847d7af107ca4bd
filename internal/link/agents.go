package link

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"jackfield"
	"jackfield/internal/link/control"
)

// Why an agent's link has ended, or cannot be used.
var (
	ErrAgentAnew     = errors.New("the agent has connected anew")
	ErrAgentSilent   = errors.New("the agent does not answer any more")
	ErrAgentDraining = errors.New("the agent takes no new streams")
	ErrTicket        = errors.New("the ticket is not good, or not any more")
)

// TicketTime is how long an agent may take to connect with a ticket.
const TicketTime = 10 * time.Second

// Agents is the table of the agents' links. It is safe for concurrent use.
//
//   - An agent has one link. One that comes again takes its name over at once; its old link ends, and the streams with it.
//   - A stream has a connection for itself, and ends with the link at the latest. With TLS, the connection then carries the next one.
//   - Links outlive generations of the configuration.
type Agents struct {
	watchers watchers

	mu      sync.Mutex                 // guards what follows; before AgentLink.mu
	links   map[string]*AgentLink      // by agent
	tickets map[control.Ticket]*ticket // that are out
}

// NewAgents returns an empty table.
func NewAgents() *Agents {
	return &Agents{links: make(map[string]*AgentLink), tickets: make(map[control.Ticket]*ticket)}
}

// An AgentArrival is an agent that has come, or that the server has connected to.
type AgentArrival struct {
	ID       string // of the request that became the link
	Agent    string // its name
	Serial   string // of its certificate; empty: it has shown none
	Listener string // empty: the server has dialled
	Source   netip.AddrPort
	Hello    *control.AgentHello

	// Plain says that its data connections come without TLS.
	Plain bool

	// Dial connects to an inbound agent for data, up to and without attach; nil: an outbound one is asked to connect.
	Dial func(context.Context) (*control.Conn, error)

	// NoStreams says that the link is for control only.
	NoStreams bool
}

// A ticket is good for one data connection of a link.
type ticket struct {
	link   *AgentLink
	stream int64 // that waits for it; 0: none does
	expiry *time.Timer
}

// enter takes a link into the table, in place of the agent's old one.
func (a *Agents) enter(l *AgentLink) {
	a.mu.Lock()
	old := a.links[l.Agent]
	a.links[l.Agent] = l
	a.mu.Unlock()
	if old != nil {
		old.cancel(ErrAgentAnew)
	}
	a.watchers.tell()
}

// leave takes the link out of the table, if it is still there, and takes back its tickets.
func (a *Agents) leave(l *AgentLink) {
	a.mu.Lock()
	if a.links[l.Agent] == l {
		delete(a.links, l.Agent)
	}
	for t, issued := range a.tickets {
		if issued.link == l {
			issued.expiry.Stop()
			delete(a.tickets, t)
		}
	}
	a.mu.Unlock()
	a.watchers.tell()
}

// Link returns the link of an agent, nil if it has none.
func (a *Agents) Link(agent string) *AgentLink {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.links[agent]
}

// Links returns all links, by agent.
func (a *Agents) Links() []*AgentLink {
	a.mu.Lock()
	defer a.mu.Unlock()
	links := make([]*AgentLink, 0, len(a.links))
	for _, l := range a.links {
		links = append(links, l)
	}
	slices.SortFunc(links, func(a, b *AgentLink) int { return cmp.Compare(a.Agent, b.Agent) })
	return links
}

// Open opens a stream to a service of an agent. The error is ErrNotConnected, ErrAgentDraining, a refusal in the agent's words, or
// why the connection failed.
func (a *Agents) Open(ctx context.Context, agent string, ask control.Open) (jackfield.Stream, error) {
	l := a.Link(agent)
	if l == nil {
		return nil, ErrNotConnected
	}
	return l.open(ctx, ask)
}

// Cut ends the links that why has a reason for, which becomes their end. It does not wait for their end.
func (a *Agents) Cut(why func(*AgentLink) error) {
	for _, l := range a.Links() {
		if err := why(l); err != nil {
			l.Cut(err)
		}
	}
}

// Watch has f called, in a goroutine of its own, at once and after agents have come or gone, or what they offer has changed. Calls may
// be fewer than changes.
func (a *Agents) Watch(ctx context.Context, f func()) { a.watchers.watch(ctx, f) }

// issue makes a ticket, which is worth nothing if the link is in the table no more. Unless it is used in time, expired is called.
func (a *Agents) issue(l *AgentLink, stream int64, expired func()) control.Ticket {
	var t control.Ticket
	rand.Read(t[:])
	issued := &ticket{link: l, stream: stream}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.links[l.Agent] != l {
		return t
	}
	a.tickets[t] = issued
	issued.expiry = time.AfterFunc(TicketTime, func() {
		if a.redeem(t) != nil {
			expired()
		}
	})
	return t
}

// redeem takes a ticket back; nil if it is not out.
func (a *Agents) redeem(t control.Ticket) *ticket {
	a.mu.Lock()
	defer a.mu.Unlock()
	issued := a.tickets[t]
	if issued != nil {
		issued.expiry.Stop()
		delete(a.tickets, t)
	}
	return issued
}

// Attach takes a data connection with a ticket, and serves it: the connection is closed when Attach returns, which is when its last
// stream has ended. Agent is who has dialled, by certificate; empty on a connection without TLS.
func (a *Agents) Attach(t control.Ticket, agent string, conn *control.Conn) error {
	issued := a.claim(t, agent)
	if issued == nil {
		conn.Close()
		return ErrTicket
	}
	issued.link.serve(issued.stream, newDataConn(conn))
	return nil
}

// claim takes back a ticket that an agent has brought; nil if it is none, or not the agent's. Then nobody else has it either.
func (a *Agents) claim(t control.Ticket, agent string) *ticket {
	issued := a.redeem(t)
	if issued != nil && agent != issued.link.Agent && (agent != "" || !issued.link.Plain) {
		issued.link.lost(issued.stream)
		return nil
	}
	return issued
}
