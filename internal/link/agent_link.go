package link

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"jackfield/internal/link/control"
)

// sendTimeout is how long an agent may take to accept a message.
const sendTimeout = 10 * time.Second

// An AgentLink is the link of an agent.
type AgentLink struct {
	AgentArrival
	Since time.Time

	agents  *Agents
	conn    *control.Conn
	handler AgentHandler
	ctx     context.Context // ends with the link
	cancel  context.CancelCauseFunc
	pings   *time.Timer
	idle    chan struct{} // has an element after the last stream has ended

	publishing sync.Mutex // what is registered and what the agent is told of it are in the same order; before mu

	// Of the goroutine that receives.
	renewed    time.Time // when a certificate was asked for last
	registered time.Time // when services were registered last
	unknown    uint64    // messages that are not known

	mu        sync.Mutex // guards what follows
	services  []control.Service
	published []control.Published // the same, and whether others reach them
	draining  string              // why; empty: it is not
	stream    int64               // the last number of a stream
	data      int64               // likewise of an inbound agent's data connection
	waiting   map[int64]chan<- delivery
	pool      pool
	resting   int   // data connections after a stream, whose agent is not ready for another one yet
	streams   int64 // that are open
	opened    int64

	ping    int64 // the last number
	pinged  time.Time
	ponged  bool // it was answered
	latency time.Duration

	answers map[answer]chan<- control.Message
	asked   int64
}

// answer is what a question waits for: the type of the message, and its number if it has one.
type answer struct {
	kind   string
	number int64
}

// An AgentHandler is told what agents say.
type AgentHandler interface {
	// Arrived is called when the agent has a link.
	Arrived(*AgentLink)

	// Registered returns which of the services that the agent offers are published. It is not called after Left.
	Registered(*AgentLink, []control.Service) []control.Published

	// Renew answers a request for a certificate.
	Renew(*AgentLink, *control.Renew) *control.Renewed

	// Unknown is called with the code of a message that is not known.
	Unknown(*AgentLink, int32)

	// Left is called when the link has ended, and is in the table no more.
	Left(*AgentLink)
}

// Serve serves the link of an agent that has answered hello, until it ends, and returns why it did. It closes the connection.
func (a *Agents) Serve(ctx context.Context, arrival AgentArrival, conn *control.Conn, handler AgentHandler) error {
	l := &AgentLink{
		AgentArrival: arrival,
		Since:        time.Now(),
		agents:       a,
		conn:         conn,
		handler:      handler,
		waiting:      make(map[int64]chan<- delivery),
		answers:      make(map[answer]chan<- control.Message),
		idle:         make(chan struct{}, 1),
	}
	l.ctx, l.cancel = context.WithCancelCause(ctx)
	l.pings = time.AfterFunc(time.Hour, l.tick)
	a.enter(l)
	stop := context.AfterFunc(l.ctx, func() { conn.Close() })
	l.pings.Reset(0) // the first message proves to an inbound agent that the server is no recording; only now may it run: it needs pings
	handler.Arrived(l)
	err := l.receive()
	l.settle()
	l.cancel(err)
	stop()
	conn.Close()
	l.end()
	a.leave(l)
	l.publishing.Lock() // nothing is registered after it
	defer l.publishing.Unlock()
	handler.Left(l)
	return context.Cause(l.ctx)
}

// settleTime is how long the streams of an agent that has ended in order may take to end.
const settleTime = 5 * time.Second

// settle waits for the streams of an agent that was about to end, and has ended: it did so after its ends of them, of which ours may
// have to learn still.
func (l *AgentLink) settle() {
	l.pings.Stop() // one that fails would cut them
	patience := time.After(settleTime)
	for {
		l.mu.Lock()
		over := l.draining == "" || l.streams == 0
		l.mu.Unlock()
		if over {
			return
		}
		select {
		case <-l.idle:
		case <-l.ctx.Done():
			return
		case <-patience:
			return
		}
	}
}

func (l *AgentLink) receive() error {
	for {
		m, err := l.conn.Receive()
		if err != nil {
			return err
		}
		if err := l.take(m); err != nil {
			return err
		}
	}
}

// take does what a message asks for. An error ends the link.
func (l *AgentLink) take(m control.Message) error {
	switch m := m.(type) {
	case *control.Register:
		return l.register(m.Services)
	case *control.Close:
		l.refused(m.Stream, errors.New(clean(m.Reason)))
	case *control.Pong:
		l.pong(m.Number)
	case *control.Drain:
		l.drain(m.Reason)
	case *control.Status:
		l.answered(answer{kind: "status"}, m)
	case *control.Reloaded:
		l.answered(answer{kind: "reload"}, m)
	case *control.TunnelResult:
		l.answered(answer{"tunnel", m.Number}, m)
	case *control.Renew:
		return l.send(l.renew(m))
	case *control.Unknown:
		if l.unknown++; l.unknown&(l.unknown-1) == 0 { // the 1st, 2nd, 4th, 8th …: nobody fills the log
			l.handler.Unknown(l, m.Command)
		}
	default:
		return errors.New("the agent said something that belongs on another connection, or at another time")
	}
	return nil
}

func (l *AgentLink) send(m control.Message) error {
	err := l.conn.SendWithin(sendTimeout, m)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = ErrAgentSilent
	}
	if err != nil {
		l.cancel(err)
	}
	return err
}

// renewInterval is how often a link may ask for a certificate: each is signed, and written into the store.
const renewInterval = time.Minute

func (l *AgentLink) renew(m *control.Renew) *control.Renewed {
	if time.Since(l.renewed) < renewInterval {
		return &control.Renewed{Problem: "it was asked for a moment ago"}
	}
	l.renewed = time.Now()
	return l.handler.Renew(l, m)
}

// registerInterval is how often services may be registered: all that is published is made anew each time.
const registerInterval = time.Second

// register has the services that an agent offers published, as far as they may be.
func (l *AgentLink) register(services []control.Service) error {
	if len(services) > control.MaxServices {
		return errors.New("the agent offers too many services")
	}
	select { // who registers more often than that waits
	case <-time.After(time.Until(l.registered.Add(registerInterval))):
	case <-l.ctx.Done():
		return context.Cause(l.ctx)
	}
	l.registered = time.Now()
	l.mu.Lock()
	l.services = services
	l.mu.Unlock()
	return l.publish()
}

// publish asks which of the services are published, and tells the agent.
func (l *AgentLink) publish() error {
	l.publishing.Lock()
	defer l.publishing.Unlock()
	if l.ctx.Err() != nil {
		return context.Cause(l.ctx)
	}
	l.mu.Lock()
	services := l.services
	l.mu.Unlock()
	published := l.handler.Registered(l, services)
	l.mu.Lock()
	l.published = published
	l.mu.Unlock()
	l.agents.watchers.tell()
	return l.send(&control.Registered{Services: published})
}

// Offers says whether the agent has registered a service of that name.
func (l *AgentLink) Offers(service string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.services {
		if s.Name == service {
			return true
		}
	}
	return false
}

func (l *AgentLink) drain(reason string) {
	l.mu.Lock()
	l.draining = clean(reason)
	if l.draining == "" {
		l.draining = "it is about to end"
	}
	idle := l.pool.clear()
	l.mu.Unlock()
	closeAll(idle)
	l.agents.watchers.tell()
}

// Drain asks the agent to let its sessions end, to take no new ones, and then to end.
func (l *AgentLink) Drain(reason string) error {
	l.drain(reason)
	return l.send(&control.Drain{Reason: reason})
}

// tick asks for a sign of life, and ends a link that has not given the last one.
func (l *AgentLink) tick() {
	if l.ctx.Err() != nil {
		return
	}
	l.mu.Lock()
	silent := l.ping > 0 && !l.ponged
	overdue := silent && time.Since(l.pinged) >= control.PongTimeout
	if !silent {
		l.ping++
		l.pinged, l.ponged = time.Now(), false
	}
	number := l.ping
	idle := l.pool.tick()
	l.mu.Unlock()
	closeAll(idle)
	switch {
	case overdue:
		l.cancel(ErrAgentSilent)
		return
	case !silent && l.send(&control.Ping{Number: number}) != nil:
		return
	}
	l.pings.Reset(control.PingInterval)
}

func (l *AgentLink) pong(number int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if number == l.ping && !l.ponged {
		l.ponged = true
		l.latency = time.Since(l.pinged)
	}
}

// end closes the connections that no stream has, and lets those who wait know.
func (l *AgentLink) end() {
	l.pings.Stop()
	l.mu.Lock()
	idle := l.pool.clear()
	waiting := l.waiting
	l.waiting = nil
	l.mu.Unlock()
	closeAll(idle)
	for _, w := range waiting {
		w <- delivery{err: context.Cause(l.ctx)}
	}
}
