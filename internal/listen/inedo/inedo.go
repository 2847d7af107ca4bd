// Package inedo serves Jackfield's own agents: the links by which they come, on a TLS port where ALPN tells them apart from others,
// and the connections that they open for streams. docs/protocols/agent.md has the protocol.
//
//	h := &inedo.Handler{Gateway: g, Listener: l, Agents: agents, Peer: peer, ...}
//	...h.Control and h.Data are functions of https.Options.ALPN...
//	...inedo.Plain{h} is the Handler of a listen.Server for connections without TLS...
//
// An agent is known by its certificate, which TLS has verified; on a connection without TLS by the ticket that it was given over its
// link. A link goes through the pipeline as a device's does; a data connection does not, for the session that it will carry
// has gone through it.
package inedo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"jackfield"
	"jackfield/internal/gateway"
	"jackfield/internal/link"
	"jackfield/internal/link/control"
	"jackfield/internal/listen"
	"jackfield/internal/quiet"
	"jackfield/wire/inedo"
)

// The protocols that agents ask for (ALPN, RFC 7301).
const (
	ControlProtocol = "jackfield-agent/1"
	DataProtocol    = "jackfield-data/1"
)

// How long an agent may take for what its connection begins with.
const (
	helloTimeout  = 10 * time.Second
	attachTimeout = link.TicketTime
)

// A Handler serves the agents of one listener in one generation of the configuration.
type Handler struct {
	Gateway  *gateway.Gateway
	Listener *gateway.Listener
	Agents   *link.Agents
	Links    link.AgentHandler
	Peer     PeerFunc
	Version  string // of the program, for the hello

	// DataAt returns how an agent connects for streams: in plain text to an address, or with TLS.
	DataAt func(agent string) (address string, plain bool)

	Log *slog.Logger

	once  sync.Once
	quiet *quiet.Log
}

// A PeerFunc tells whose certificate was verified.
type PeerFunc func(ctx context.Context, c *x509.Certificate) (*Peer, error)

// A Peer is an agent that is known by its certificate.
type Peer struct {
	Agent   string
	Serial  string          // of the certificate
	InForce context.Context // ends when the certificate becomes void
	Release func()          // of InForce; is called when that is not needed any more
}

// shown returns the certificate of an agent. The state of a connection is half a kilobyte, for which the stack of who serves it has
// no room: it lasts as long as the connection.
//
//go:noinline
func shown(conn *tls.Conn) *x509.Certificate { return conn.ConnectionState().PeerCertificates[0] }

// Control serves the link of an agent until it ends, and closes the connection.
func (h *Handler) Control(ctx context.Context, conn *tls.Conn, c *listen.Client) {
	defer conn.Close()
	visit, err := h.Gateway.Admit(ctx, h.Listener, c.Source, c.Local)
	if err != nil {
		c.Reset()
		return
	}
	defer visit.Leave()
	visit.Identify(jackfield.Identity{Proof: jackfield.ProofCertificate})
	peer, err := h.Peer(ctx, shown(conn))
	if err != nil {
		visit.Refuse(jackfield.Refuse(jackfield.Denied, "unknown agent", err))
		return
	}
	defer peer.Release()
	data, plain := h.DataAt(peer.Agent)
	messages, hello, err := greet(peer.InForce, conn, control.ServerHello{
		Server: h.Version, Agent: peer.Agent, PlainData: plain, Data: data,
	})
	if err != nil {
		if peer.InForce.Err() == nil {
			visit.Refuse(jackfield.Refuse(jackfield.Invalid, "not an agent", fmt.Errorf("agent %s: %w", peer.Agent, err)))
		}
		return
	}
	h.serve(peer.InForce, visit, messages, link.AgentArrival{
		ID: visit.ID(), Agent: peer.Agent, Serial: peer.Serial, Listener: h.Listener.Name, Source: c.Source, Hello: hello, Plain: plain,
	})
}

// greet does both handshakes: of the Inedo protocol, in the role of its client, and the hello of ours.
func greet(ctx context.Context, conn *tls.Conn, ours control.ServerHello) (*control.Conn, *control.AgentHello, error) {
	ctx, cancel := context.WithTimeout(ctx, helloTimeout)
	defer cancel()
	c, err := inedo.Handshake(ctx, conn, inedo.ClientConfig{
		Options: inedo.Options{MinProtocol: inedo.V2, Timeout: helloTimeout, MaxData: control.MaxData},
		Width:   inedo.WidthWide, AnyVersion: true,
	})
	if err != nil {
		return nil, nil, err
	}
	messages := control.Server(c, nil)
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	hello, err := messages.Greet(ours)
	if !stop() {
		err = context.Cause(ctx)
	}
	return messages, hello, err
}

// serve serves a link that has begun.
func (h *Handler) serve(ctx context.Context, visit *gateway.Visit, messages *control.Conn, arrival link.AgentArrival) {
	closed, err := visit.OpenLink("agent " + arrival.Agent)
	if err != nil {
		return
	}
	log := h.Log.With("id", visit.ID(), "agent", arrival.Agent)
	log.Info("agent connected", "listener", h.Listener.Name, "source", arrival.Source, "version", arrival.Hello.Agent,
		"platform", arrival.Hello.Platform)
	err = h.Agents.Serve(ctx, arrival, messages, h.Links)
	end := endOf(ctx, err)
	log.Info("agent gone", "why", end.Cause, "details", end.Details)
	closed(end, jackfield.Transfer{}) // its streams have records of their own
}

func endOf(ctx context.Context, err error) jackfield.End {
	cut, isCut := errors.AsType[link.CutError](err)
	switch {
	case isCut:
		return jackfield.End{Cause: cut.Error()}
	case ctx.Err() != nil:
		return jackfield.End{Cause: context.Cause(ctx).Error()}
	case errors.Is(err, io.EOF):
		return jackfield.End{Cause: jackfield.EndFinished}
	case errors.Is(err, link.ErrAgentAnew), errors.Is(err, link.ErrAgentSilent):
		return jackfield.End{Cause: err.Error()}
	}
	return jackfield.End{Cause: jackfield.EndClientReset, Details: err.Error()}
}

// Data serves a connection that an agent has opened for a stream, until both have ended, and closes it.
func (h *Handler) Data(ctx context.Context, conn *tls.Conn, c *listen.Client) {
	peer, err := h.Peer(ctx, shown(conn))
	if err != nil {
		conn.Close()
		h.refused(c, "", err)
		return
	}
	h.attach(peer.InForce, conn, peer.Agent, c)
	peer.Release()
}

// linesAtOnce is how many lines of the log whoever connects can make at once; after that it is one in a while.
const linesAtOnce = 100

func (h *Handler) refused(c *listen.Client, agent string, why error) {
	h.once.Do(func() { h.quiet = quiet.New(h.Log, linesAtOnce) })
	h.quiet.Note(slog.LevelWarn, "data", "data connection refused", "listener", h.Listener.Name, "source", c.Source, "agent", agent, "error", why)
}

// attach serves a data connection, which begins with a ticket.
func (h *Handler) attach(ctx context.Context, conn net.Conn, agent string, c *listen.Client) {
	messages := control.ServerData(conn)
	ticket, err := ticketOf(ctx, messages)
	if err == nil {
		err = h.Agents.Attach(ticket, agent, messages)
	}
	conn.Close()
	if err != nil && err != errGone {
		h.refused(c, agent, err)
	}
}

// errGone is the end of a connection of which nobody needs to know.
var errGone = errors.New("it has ended without a word")

// ticketOf waits for the ticket of a data connection.
func ticketOf(ctx context.Context, conn *control.Conn) (ticket control.Ticket, err error) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(attachTimeout))
	m, err := conn.Receive()
	stop()
	attach, ok := m.(*control.Attach)
	switch {
	case ctx.Err() != nil, errors.Is(err, io.EOF):
		return ticket, errGone
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ticket, errors.New("it brought no ticket in time")
	case err != nil:
		return ticket, err
	case !ok:
		return ticket, errors.New("it did not begin with a ticket")
	}
	return attach.Ticket, conn.SetDeadline(time.Time{})
}

// Plain is the handler of a listener for data connections without TLS.
type Plain struct{ *Handler }

// Serve implements listen.Handler.
func (p Plain) Serve(ctx context.Context, c *listen.Client) {
	if err := p.Gateway.Screen(ctx, p.Listener, c.Source, c.Local); err != nil {
		c.Reset()
		return
	}
	p.attach(ctx, c.Conn, "", c)
}
