package link

import (
	"context"
	"errors"
	"slices"
	"time"

	"jackfield/internal/link/control"
)

// An AgentState is what can be seen of an agent's link.
type AgentState struct {
	AgentArrival
	Since     time.Time
	Latency   time.Duration // of the last ping; 0: not known yet
	Draining  string        // why; empty: it is not
	Offered   []control.Service
	Published []control.Published
	Open      int64 // streams
	Opened    int64
	Ready     int // data connections that wait for streams
}

// State returns what can be seen of the link now.
func (l *AgentLink) State() AgentState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return AgentState{
		AgentArrival: l.AgentArrival,
		Since:        l.Since,
		Latency:      l.latency,
		Draining:     l.draining,
		Offered:      slices.Clone(l.services),
		Published:    slices.Clone(l.published),
		Open:         l.streams,
		Opened:       l.opened,
		Ready:        len(l.pool.ready),
	}
}

// ErrAsked says that the same was asked before, and was not answered yet.
var ErrAsked = errors.New("the agent was asked already, and has not answered yet")

// Status asks the agent how it fares.
func (l *AgentLink) Status(ctx context.Context) (*control.Status, error) {
	m, err := l.ask(ctx, answer{kind: "status"}, &control.StatusQuery{})
	if err != nil {
		return nil, err
	}
	return m.(*control.Status), nil
}

// Reload has the agent read its configuration again. The error is what was wrong with it.
func (l *AgentLink) Reload(ctx context.Context) error {
	m, err := l.ask(ctx, answer{kind: "reload"}, &control.Reload{})
	if err != nil {
		return err
	}
	return problem(m.(*control.Reloaded).Problem)
}

// Tunnel has the agent open a Mihini tunnel. The number is chosen here.
func (l *AgentLink) Tunnel(ctx context.Context, t control.Tunnel) error {
	l.mu.Lock()
	l.asked++
	t.Number = l.asked
	l.mu.Unlock()
	m, err := l.ask(ctx, answer{"tunnel", t.Number}, &t)
	if err != nil {
		return err
	}
	return problem(m.(*control.TunnelResult).Problem)
}

// Cut ends the link, with why as the cause. It does not wait for the end.
func (l *AgentLink) Cut(why error) { l.cancel(CutError{why}) }

// A CutError is why a link has ended that was cut on purpose.
type CutError struct{ Why error }

func (e CutError) Error() string { return e.Why.Error() }

// Unwrap returns Why.
func (e CutError) Unwrap() error { return e.Why }

// Publish asks again what is published of the services that the agent offers. It does not wait for that, nor for the agent.
func (l *AgentLink) Publish() { go l.publish() }

func problem(text string) error {
	if text == "" {
		return nil
	}
	return errors.New(clean(text))
}

// ask sends a question and waits for its answer.
func (l *AgentLink) ask(ctx context.Context, what answer, question control.Message) (control.Message, error) {
	reply := make(chan control.Message, 1)
	l.mu.Lock()
	if l.answers[what] != nil {
		l.mu.Unlock()
		return nil, ErrAsked
	}
	l.answers[what] = reply
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.answers[what] == reply { // else it was answered, and somebody asks again
			delete(l.answers, what)
		}
	}()
	if err := l.send(question); err != nil {
		return nil, err
	}
	select {
	case m := <-reply:
		return m, nil
	case <-l.ctx.Done():
		return nil, context.Cause(l.ctx)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// answered gives an answer to who waits for it, if anybody does.
func (l *AgentLink) answered(what answer, m control.Message) {
	l.mu.Lock()
	reply := l.answers[what]
	delete(l.answers, what)
	l.mu.Unlock()
	if reply != nil {
		reply <- m
	}
}
