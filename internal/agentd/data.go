package agentd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"jackfield"
	"jackfield/internal/link/chunks"
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

// data serves a data connection until its last stream has ended, and closes it.
func (l *link) data(conn *control.Conn) {
	defer conn.Close()
	for {
		open := l.receiveOpen(conn)
		if open == nil || !l.serve(conn, open) {
			return
		}
		conn.SetDeadline(time.Now().Add(helloTimeout))
		if conn.Send(&control.Ready{Stream: open.Stream}) != nil || conn.SetDeadline(time.Time{}) != nil {
			return
		}
	}
}

// receiveOpen waits until the server asks for a stream; nil if it does not.
func (l *link) receiveOpen(conn *control.Conn) *control.Open {
	stop := context.AfterFunc(l.ctx, func() { conn.Close() })
	m, err := conn.Receive()
	switch {
	case !stop():
		return nil
	case err != nil:
		// An end while there is no stream is none of a stream's, whether it is in order or, for one that was cut just after it, a reset.
		if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
			l.agent.Log.Warn("data connection lost", "error", err)
		}
		return nil
	}
	open, ok := m.(*control.Open)
	if !ok {
		l.agent.Log.Warn("data connection closed: the server did not ask for a stream")
		return nil
	}
	return open
}

func refuse(conn *control.Conn, open *control.Open, why *jackfield.Error) {
	conn.SetDeadline(time.Now().Add(helloTimeout))
	conn.Send(&control.OpenResult{Stream: open.Stream, Kind: why.Kind, Sentence: why.Message})
}

// accept says that the stream is open: its bytes follow.
func accept(conn *control.Conn, open *control.Open) bool {
	conn.SetDeadline(time.Now().Add(helloTimeout))
	return conn.Send(&control.OpenResult{Stream: open.Stream}) == nil && conn.SetDeadline(time.Time{}) == nil
}

// serve opens the service, if it may, and joins it to the connection. It says whether that may carry another stream after it.
func (l *link) serve(conn *control.Conn, open *control.Open) (again bool) {
	server, err := streamOf(conn)
	if err != nil {
		return false
	}
	if !l.agent.streams.begin() {
		refuse(conn, open, jackfield.Refuse(jackfield.Unavailable, "the agent is about to end, try again later", nil))
		return false
	}
	defer l.agent.streams.end()
	chunked, carriesMany := server.(*chunks.Stream)
	log := l.agent.Log.With("stream", open.Stream, "service", open.Service, "address", open.Address, "user", open.User, "source", open.Source)
	ctx, end := context.WithCancelCause(l.ctx) // of the stream: a program lives no longer than that
	defer end(nil)
	stop := context.AfterFunc(l.ctx, func() { conn.Close() })
	defer stop()
	service, err := l.agent.open(ctx, end, open)
	if err != nil {
		refusal := jackfield.AsError(err)
		log.Warn("stream refused", "kind", refusal.Kind, "error", err)
		refuse(conn, open, refusal)
		return carriesMany
	}
	defer service.Close()
	if !stop() || !accept(conn, open) { // once it is open, a stream that is cut ends with a reset: join sees to that
		relay.Reset(service)
		return false
	}
	log.Info("stream opened")
	why, transfer := l.agent.join(ctx, server, service)
	log.Info("stream closed", "why", why.Cause, "details", why.Details, "bytes_to_service", transfer.FromClient,
		"bytes_from_service", transfer.FromService)
	return carriesMany && chunked.Whole()
}

// streamOf returns the exact stream of a connection of ours: with TLS, one of several that it may carry.
func streamOf(conn *control.Conn) (jackfield.Stream, error) {
	raw, err := conn.Raw()
	if err != nil {
		return nil, err
	}
	if raw, ok := raw.(*tls.Conn); ok {
		return chunks.New(tlsstream.Of(raw)), nil
	}
	return raw.(jackfield.Stream), nil
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
