package agentd

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"jackfield/internal/link/control"
)

var (
	errReplaced = errors.New("the server has connected anew")
	errSilent   = errors.New("the server does not answer any more")
)

// An opener opens data connections of a link; nil where the server does, or none can be.
type opener interface {
	connect(ctx context.Context, hello *control.ServerHello, ticket control.Ticket) (*control.Conn, error)
}

// A link is a link to a server, from its hello on.
type link struct {
	agent   *Agent
	conn    *control.Conn
	opener  opener
	dialled string // the server's address; empty: the server has dialled
	id      control.LinkID
	hello   *control.ServerHello
	used    numbers         // of data connections that the server has opened
	ctx     context.Context // of the streams; ends with the link
	cancel  context.CancelCauseFunc
	tasks   sync.WaitGroup

	// Of the goroutine that receives.
	rotated bool      // the server has a new authority
	asked   time.Time // when a certificate was asked for last
	unknown uint64    // messages that are not known
}

func newLink(a *Agent, conn *control.Conn, o opener) *link {
	l := &link{agent: a, conn: conn, opener: o}
	rand.Read(l.id[:])
	return l
}

// run serves the link until it or ctx ends, and closes its connection. Up is called when the server has said hello.
func (l *link) run(ctx context.Context, up func()) error {
	defer l.conn.Close()
	l.ctx, l.cancel = context.WithCancelCause(ctx)
	defer l.tasks.Wait()
	defer l.cancel(context.Canceled)
	defer context.AfterFunc(l.ctx, func() { l.conn.Close() })()
	l.conn.SetDeadline(time.Now().Add(helloTimeout))
	var err error
	l.hello, err = l.conn.Answer(control.AgentHello{
		Agent: l.agent.Version, Platform: runtime.GOOS + "/" + runtime.GOARCH, Link: l.id, Clock: time.Now(),
	})
	if err != nil {
		return err
	}
	first, err := l.conn.Receive() // proves that the server is no recording of itself
	if err != nil {
		return err
	}
	l.conn.SetDeadline(time.Time{})
	up()
	l.agent.use(l)
	defer l.agent.forget(l)
	l.agent.Log.Info("linked", "server", l.conn.RemoteAddr().String(), "name", l.hello.Agent, "version", l.hello.Server)
	if l.begin() != nil {
		return context.Cause(l.ctx)
	}
	if err = l.take(first); err == nil {
		err = l.receive()
	}
	l.cancel(err)
	return context.Cause(l.ctx)
}

// begin says what the agent offers; or, if it has been told to end meanwhile, that.
func (l *link) begin() error {
	if l.agent.streams.isClosed() {
		return l.leave()
	}
	return l.register()
}

// leave says that the agent takes no new streams.
func (l *link) leave() error { return l.send(&control.Drain{Reason: "the agent is about to end"}) }

func (l *link) receive() error {
	for {
		l.conn.SetReadDeadline(time.Now().Add(control.SilenceLimit))
		m, err := l.conn.Receive()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT): // keepAlive takes as long
			return errSilent
		case err != nil:
			return err
		}
		if err := l.take(m); err != nil {
			return err
		}
	}
}

// take does what a message asks for. An error ends the link.
func (l *link) take(m control.Message) error {
	switch m := m.(type) {
	case *control.Ping:
		l.renew()
		return l.send(&control.Pong{Number: m.Number})
	case *control.Attach:
		l.attach(m)
	case *control.Close:
		// The stream is not wanted any more: its connection, when it is there, is closed by the server.
	case *control.Registered:
		l.registered(m)
	case *control.Drain:
		l.agent.Log.Info("the server has asked the agent to end", "reason", m.Reason)
		l.agent.drain.Do(func() { close(l.agent.drained) })
	case *control.Reload:
		return l.send(&control.Reloaded{Problem: l.agent.reload()})
	case *control.StatusQuery:
		return l.send(l.agent.status())
	case *control.Tunnel:
		l.tunnel(m)
	case *control.Renewed:
		l.renewed(m)
	case *control.Unknown:
		if l.unknown++; l.unknown&(l.unknown-1) == 0 { // the 1st, 2nd, 4th, 8th …: nobody fills the log
			l.agent.Log.Info("the server said something unknown", "code", m.Command)
		}
	default:
		return errors.New("the server said something that belongs on another connection, or at another time")
	}
	return nil
}

func (l *link) send(m control.Message) error {
	err := l.conn.SendWithin(helloTimeout, m)
	if err != nil {
		l.cancel(err)
	}
	return err
}

func (l *link) register() error { return l.send(l.agent.offer.Load().register()) }

func (l *link) registered(m *control.Registered) {
	for _, s := range m.Services {
		if s.Reason != "" {
			l.agent.Log.Warn("the server does not publish a service", "service", s.Name, "why", s.Reason)
		}
	}
}

// reload reads the configuration again, and tells what is wrong with it.
func (a *Agent) reload() (problem string) {
	if a.Reload == nil {
		return "this agent has no configuration that could be read again"
	}
	offer, err := a.Reload()
	if err != nil {
		a.Log.Error("configuration not reloaded, the one before stays at work", "error", err)
		return err.Error()
	}
	a.Log.Info("configuration reloaded")
	a.SetOffer(offer)
	return ""
}

// renewPause is how long the agent waits before it asks for a certificate again.
const renewPause = time.Hour

// renew asks for a new certificate, if it is time. It is called with each ping.
func (l *link) renew() {
	r, now := l.agent.Renewal, time.Now()
	if r == nil || now.Sub(l.asked) < renewPause || !l.rotated && !r.NeedsRenewal(now) {
		return
	}
	l.asked = now
	request, err := r.Request()
	if err != nil {
		l.agent.Log.Error("the certificate cannot be renewed", "error", err)
		return
	}
	l.send(&control.Renew{Request: string(request)})
}

func (l *link) renewed(m *control.Renewed) {
	err := errors.New(m.Problem)
	if m.Problem == "" && l.agent.Renewal != nil {
		err = l.agent.Renewal.Save([]byte(m.Certificate), []byte(m.Authority))
	}
	if err != nil {
		l.agent.Log.Error("the certificate was not renewed", "error", err)
		return
	}
	l.rotated = false
	l.agent.Log.Info("certificate renewed")
}
