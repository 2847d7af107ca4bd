// Package inedoserve is an agent of the Inedo Agent network protocol that does nothing by itself: it logs what comes, answers Get
// Agent Root Path, and gives ranges of commands to programs, the handlers. It is for people who want to see or to answer what a
// client says. Jackfield's own agent is internal/agentd.
//
//	listener, err := net.Listen("tcp", "127.0.0.1:46336")
//	handler, err := inedoserve.ParseHandler("0x4A460000-0x4A46FFFF=/usr/local/bin/answer --quick")
//	agent, err := inedoserve.New(inedoserve.Options{Handlers: []inedoserve.Handler{handler}, Log: log})
//	agent.Serve(ctx, listener)
//
// # Handlers
//
// A handler is one process, which is started when the first message for it comes, and speaks for all connections. It reads and
// writes frames, all numbers little endian:
//
//	int32 connection, int32 length of the data, int32 command, data
//
// Connections have numbers from 1. A length of -1, without data and with command 0, ends the connection: from us when it has
// ended, from the handler to have it ended. A process that breaks these rules or exits is ended, and so are the connections that
// it spoke for; the next message starts another one, at most one a second. When no connection has been there for half an hour
// it is ended, in order: its standard input ends and its process group gets SIGTERM, and SIGKILL five seconds later.
//
// # Rules
//
//   - What a handler does not read makes the connections that speak to it wait, and so their clients.
//   - What a client does not read is kept up to 1 MiB and one message; then the handler waits. A client that takes less than 64 KiB
//     a second for half a minute is cut.
//   - Update Agent is parsed, logged and refused, always. No handler gets it.
//   - A message that cannot be decrypted has the same effect as one with a command that nobody knows: none. What a handler answers
//     is its own: in AES mode it should not tell of a message that it takes from one that it does not.
//   - Keys do not appear in the log; data do only if that is asked for.
package inedoserve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"jackfield/wire/inedo"
)

// Options say what an agent does. Log must be set.
type Options struct {
	// Protocol is how it speaks: its mode, its key or certificate, the handshake's timeout.
	Protocol inedo.AgentConfig

	// Allowed are the networks that clients may come from; others are closed without a byte. Nil: everywhere.
	Allowed []netip.Prefix

	// MaxHandshakes is how many handshakes there may be at once (100). More wait in the kernel's queue.
	MaxHandshakes int

	// RootPath answers Get Agent Root Path. Empty: nobody answers, unless a handler has the command.
	RootPath string

	// Handlers are the programs. No two may have the same command.
	Handlers []Handler

	// Keep is how long a handler's process stays without a connection (30 min).
	Keep time.Duration

	// LogData has the data of messages logged, in hexadecimal, up to 1 KiB of each.
	LogData bool

	Log *slog.Logger

	grace, pause time.Duration // the defaults, but for tests
}

const (
	defaultMaxHandshakes = 100
	defaultKeep          = 30 * time.Minute

	// acceptPause is the pause after an error of Accept, such as too many open files.
	acceptPause = time.Second
)

// An Agent serves clients.
type Agent struct {
	Options
	handlers []*handler // sorted by command

	numbers int32 // of connections; one goroutine counts
}

// New makes an agent. No program is started yet. An error is about the handlers.
func New(o Options) (*Agent, error) {
	o.MaxHandshakes = cmp.Or(o.MaxHandshakes, defaultMaxHandshakes)
	o.Keep = cmp.Or(o.Keep, defaultKeep)
	o.grace = cmp.Or(o.grace, defaultGrace)
	o.pause = cmp.Or(o.pause, defaultPause)
	a := &Agent{Options: o}
	sorted := slices.SortedFunc(slices.Values(o.Handlers), func(x, y Handler) int { return cmp.Compare(x.First, y.First) })
	for i, h := range sorted {
		if i > 0 && h.First <= sorted[i-1].Last {
			return nil, fmt.Errorf("%s and %s have commands in common", sorted[i-1], h)
		}
		if err := h.check(o.RootPath != ""); err != nil {
			return nil, err
		}
		a.handlers = append(a.handlers, newHandler(h, o))
	}
	return a, nil
}

// Serve serves the clients that connect, until ctx ends. Then it closes the listener and all connections, and returns when the
// handlers have ended.
func (a *Agent) Serve(ctx context.Context, listener net.Listener) {
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()
	var connections sync.WaitGroup
	a.accept(ctx, listener, &connections)
	for _, h := range a.handlers {
		h.close() // which ends the waiting of connections
	}
	connections.Wait()
	for _, h := range a.handlers {
		h.wait()
	}
}

func (a *Agent) accept(ctx context.Context, listener net.Listener, connections *sync.WaitGroup) {
	room := make(chan struct{}, a.MaxHandshakes)
	for {
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			return
		}
		conn, err := listener.Accept()
		switch {
		case err == nil && a.allows(conn.RemoteAddr()):
			a.numbers++
			number := a.numbers
			connections.Go(func() { a.greet(ctx, conn, number, func() { <-room }) })
			continue
		case err == nil:
			a.Log.Warn("connection refused: its address is not allowed", "source", conn.RemoteAddr().String())
			conn.Close()
		case !a.pauseAfter(ctx, err):
			return
		}
		<-room
	}
}

// pauseAfter waits a little after an error of Accept, and says whether to go on.
func (a *Agent) pauseAfter(ctx context.Context, err error) bool {
	if errors.Is(err, net.ErrClosed) {
		return false
	}
	a.Log.Error("cannot accept connections", "error", err, "again_in", acceptPause.String())
	select {
	case <-ctx.Done():
		return false
	case <-time.After(acceptPause):
		return true
	}
}

func (a *Agent) allows(source net.Addr) bool {
	if a.Allowed == nil {
		return true
	}
	address, err := netip.ParseAddrPort(source.String())
	if err != nil {
		return false
	}
	ip := address.Addr().Unmap().WithZone("")
	return slices.ContainsFunc(a.Allowed, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// greet does the handshake and serves the connection. Release is called when the handshake is over.
func (a *Agent) greet(ctx context.Context, socket net.Conn, number int32, release func()) {
	log := a.Log.With("connection", number, "source", socket.RemoteAddr().String())
	conn, err := inedo.Accept(ctx, socket, a.Protocol)
	release()
	if err != nil {
		log.Warn("handshake failed", "error", err)
		return
	}
	attributes := []any{"mode", conn.Reply().Mode.String(), "protocol", int32(conn.Protocol())}
	if state, ok := conn.ConnectionState(); ok {
		attributes = append(attributes, "tls", tlsName(state))
	}
	log.Info("client connected", attributes...)
	a.serve(ctx, newConnection(number, conn, socket, log))
}

// handlerOf finds who has a command; nil if nobody.
func (a *Agent) handlerOf(command int32) *handler {
	for _, h := range a.handlers {
		if h.First <= command && command <= h.Last {
			return h
		}
	}
	return nil
}
