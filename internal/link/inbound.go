package link

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"jackfield/internal/link/control"
	"jackfield/internal/tlsstream"
	"jackfield/wire/inedo"
)

// Inbound is an agent that the server dials.
type Inbound struct {
	Agent    string
	Address  string             // "host:port"
	Protocol inedo.ClientConfig // its mode, and the key or what its certificate must be
	Key      control.Key        // seals the messages
	Version  string             // of the server
	NewID    func() string      // short ids for the links
	Log      *slog.Logger
}

const (
	inboundDialTimeout = 5 * time.Second
	inboundHello       = 10 * time.Second
)

// inboundKeepAlive finds a dead peer within 15 s.
var inboundKeepAlive = net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 5 * time.Second, Count: 2}

// KeepInbound keeps a link to an agent until ctx ends: it dials again and again (control.Pause).
func (a *Agents) KeepInbound(ctx context.Context, in Inbound, handler AgentHandler) {
	lost := time.Now()
	for ctx.Err() == nil {
		err := a.serveInbound(ctx, in, handler, func() { lost = time.Time{} })
		if ctx.Err() != nil {
			return
		}
		if lost.IsZero() {
			lost = time.Now()
		}
		wait := control.Pause(time.Since(lost))
		in.Log.Warn("no link to an agent", "agent", in.Agent, "address", in.Address, "error", err, "again_in", wait.Round(time.Millisecond).String())
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// serveInbound serves one link.
func (a *Agents) serveInbound(ctx context.Context, in Inbound, handler AgentHandler, up func()) error {
	conn, err := in.dial(ctx)
	if err != nil {
		return err
	}
	hello, err := in.greet(ctx, conn)
	if err != nil {
		conn.Close()
		return err
	}
	up()
	source, _ := netip.ParseAddrPort(conn.RemoteAddr().String())
	id := in.NewID()
	in.Log.Info("agent connected", "id", id, "agent", in.Agent, "source", source, "version", hello.Agent, "platform", hello.Platform)
	err = a.Serve(ctx, AgentArrival{
		ID: id, Agent: in.Agent, Source: source, Hello: hello, Dial: in.dial, NoStreams: in.Protocol.Mode == inedo.ModeAES,
	}, conn, handler)
	in.Log.Info("agent gone", "id", id, "agent", in.Agent, "why", err)
	return err
}

func (in *Inbound) greet(ctx context.Context, conn *control.Conn) (*control.AgentHello, error) {
	conn.SetDeadline(time.Now().Add(inboundHello))
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	hello, err := conn.Greet(control.ServerHello{Server: in.Version, Agent: in.Agent})
	if !stop() {
		return nil, context.Cause(ctx)
	}
	return hello, cmp.Or(err, conn.SetDeadline(time.Time{}))
}

// dial connects and does the handshake of the Inedo protocol.
func (in *Inbound) dial(ctx context.Context) (*control.Conn, error) {
	dialer := net.Dialer{Timeout: inboundDialTimeout, KeepAliveConfig: inboundKeepAlive}
	socket, err := dialer.DialContext(ctx, "tcp", in.Address)
	if err != nil {
		return nil, err
	}
	if in.Protocol.Mode == inedo.ModeSSL {
		socket = tlsstream.Below(socket.(*net.TCPConn))
	}
	conn, err := inedo.Handshake(ctx, socket, in.Protocol)
	if err != nil {
		return nil, err
	}
	return control.Server(conn, &in.Key), nil
}
