package agentd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"jackfield"
	"jackfield/internal/link/control"
	"jackfield/internal/relay"
	"jackfield/internal/tlsstream"
)

// attach opens a data connection that the server has asked for.
func (l *link) attach(m *control.Attach) {
	if l.opener == nil || l.agent.streams.isClosed() {
		l.send(&control.Close{Stream: m.Number, Reason: "the agent opens no data connections now"})
		return
	}
	l.tasks.Go(func() {
		conn, err := l.opener.connect(l.ctx, l.hello, m.Ticket)
		if err != nil {
			if l.ctx.Err() == nil {
				l.agent.Log.Warn("no data connection to the server", "error", l.agent.explain(err))
				l.send(&control.Close{Stream: m.Number, Reason: "the agent cannot connect for data"})
			}
			return
		}
		l.data(conn)
	})
}

// data serves a data connection until its stream has ended, and closes it.
func (l *link) data(conn *control.Conn) {
	defer conn.Close()
	stop := context.AfterFunc(l.ctx, func() { conn.Close() })
	defer stop()
	m, err := conn.Receive()
	if err != nil {
		if l.ctx.Err() == nil && !errors.Is(err, io.EOF) {
			l.agent.Log.Warn("data connection lost", "error", err)
		}
		return
	}
	open, ok := m.(*control.Open)
	if !ok {
		l.agent.Log.Warn("data connection closed: it did not begin with open")
		return
	}
	if !l.agent.streams.begin() {
		refuse(conn, open, jackfield.Refuse(jackfield.Unavailable, "the agent is about to end, try again later", nil))
		return
	}
	defer l.agent.streams.end()
	l.serve(conn, open, stop)
}

func refuse(conn *control.Conn, open *control.Open, why *jackfield.Error) {
	conn.SetDeadline(time.Now().Add(helloTimeout))
	conn.Send(&control.OpenResult{Stream: open.Stream, Kind: why.Kind, Sentence: why.Message})
}

// serve opens the service and joins it to the connection.
func (l *link) serve(conn *control.Conn, open *control.Open, stop func() bool) {
	log := l.agent.Log.With("stream", open.Stream, "service", open.Service, "address", open.Address, "user", open.User, "source", open.Source)
	ctx, end := context.WithCancelCause(l.ctx) // of the stream: a program lives no longer than that
	defer end(nil)
	service, err := l.agent.open(ctx, end, open)
	if err != nil {
		refusal := jackfield.AsError(err)
		log.Warn("stream refused", "kind", refusal.Kind, "error", err)
		refuse(conn, open, refusal)
		return
	}
	defer service.Close()
	conn.SetDeadline(time.Now().Add(helloTimeout))
	if err := conn.Send(&control.OpenResult{Stream: open.Stream}); err != nil {
		relay.Reset(service)
		return
	}
	conn.SetDeadline(time.Time{})
	raw, err := conn.Raw()
	if err != nil || !stop() {
		relay.Reset(service)
		return
	}
	log.Info("stream opened")
	why, transfer := l.agent.join(ctx, streamOf(raw), service)
	log.Info("stream closed", "why", why.Cause, "details", why.Details, "bytes_to_service", transfer.FromClient,
		"bytes_from_service", transfer.FromService)
}

// streamOf returns the exact stream of a connection of ours.
func streamOf(conn net.Conn) jackfield.Stream {
	if conn, ok := conn.(*tls.Conn); ok {
		return tlsstream.Of(conn)
	}
	return conn.(jackfield.Stream)
}

var errLate = jackfield.Refuse(jackfield.Unavailable, "the service did not answer in time", nil)

// open opens the service that a stream is for, if its owner offers it. What it opens lives as long as ctx, which end ends.
func (a *Agent) open(ctx context.Context, end context.CancelCauseFunc, open *control.Open) (jackfield.Stream, error) {
	route, err := a.route(open)
	if err != nil {
		return nil, err
	}
	if open.Within > 0 {
		limit := time.AfterFunc(open.Within, func() { end(errLate) })
		defer limit.Stop()
	}
	service, err := route.Open(ctx, &jackfield.Request{
		Time: time.Now(), Protocol: "agent", Service: jackfield.Name(open.Service), Identity: jackfield.Identity{User: open.User},
	})
	if context.Cause(ctx) == error(errLate) {
		if err == nil {
			relay.Reset(service)
		}
		return nil, errLate
	}
	return service, err
}

func (a *Agent) route(open *control.Open) (jackfield.Route, error) {
	offer := a.offer.Load()
	if open.Service != "" {
		for _, s := range offer.Services {
			if string(s.Name) == open.Service {
				return s.Route, nil
			}
		}
		return nil, jackfield.Refuse(jackfield.NotFound, "the agent offers no such service", nil)
	}
	if offer.Allow == nil || a.Address == nil {
		return nil, jackfield.Refuse(jackfield.Denied, "the agent does not allow that", errors.New("it has no allow-list"))
	}
	if err := offer.Allow(open.Address); err != nil {
		return nil, jackfield.Refuse(jackfield.Denied, "the agent does not allow that", err)
	}
	route, err := a.Address(open.Address)
	if err != nil {
		return nil, jackfield.Refuse(jackfield.Invalid, "the agent cannot reach such an address", fmt.Errorf("%q: %w", open.Address, err))
	}
	return route, nil
}

// join passes bytes between the server and a service until both directions have ended.
func (a *Agent) join(ctx context.Context, server, service jackfield.Stream) (jackfield.End, jackfield.Transfer) {
	live := new(relay.Counters)
	a.begin(live)
	defer a.end(live)
	program, ok := service.(jackfield.Program)
	if !ok {
		end := relay.Join(ctx, server, service, live, relay.Options{})
		return end, live.Transfer()
	}
	end := relay.Join(ctx, server, program.Bare(), live, relay.Options{Program: true})
	if details := program.Wait(); end.Details == "" {
		end.Details = details
	}
	return end, live.Transfer()
}

func (a *Agent) begin(live *relay.Counters) {
	a.opened.Add(1)
	a.running.Add(1)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.live[live] = struct{}{}
}

func (a *Agent) end(live *relay.Counters) {
	a.running.Add(-1)
	transfer := live.Transfer()
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.live, live)
	a.past.toServices.Add(transfer.FromClient)
	a.past.fromServices.Add(transfer.FromService)
}
