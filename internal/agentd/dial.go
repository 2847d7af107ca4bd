package agentd

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"jackfield/internal/link/control"
	"jackfield/internal/tlsstream"
	"jackfield/wire/inedo"
)

// The protocols that an agent asks for (ALPN, RFC 7301).
const (
	controlProtocol = "jackfield-agent/1"
	dataProtocol    = "jackfield-data/1"
)

const (
	dialTimeout  = 5 * time.Second
	helloTimeout = 10 * time.Second
)

// Dial keeps a link to the server until ctx ends, whose cause it returns, or the server has the agent end: ErrDrained. Streams that are
// open have had their time by then, unless cutNow was closed; it may be nil.
func (a *Agent) Dial(ctx context.Context, server Server, cutNow <-chan struct{}) error {
	serving, cut := context.WithCancelCause(context.Background())
	defer cut(context.Canceled)
	d := &dialler{Server: server, sessions: tls.NewLRUClientSessionCache(0)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.keep(serving, d)
	}()
	why := a.wait(ctx)
	a.settle(cutNow)
	cut(why)
	<-done
	a.die(why)
	a.tunnels.wait()
	return why
}

// keep dials again and again.
func (a *Agent) keep(ctx context.Context, d *dialler) {
	lost := time.Now()
	for ctx.Err() == nil {
		err := a.dialOnce(ctx, d, func() { lost = time.Time{} })
		if ctx.Err() != nil {
			return
		}
		if lost.IsZero() {
			lost = time.Now()
		}
		wait := a.pause(time.Since(lost))
		a.Log.Warn("no link to the server", "server", d.Address, "error", a.explain(err), "again_in", wait.Round(time.Millisecond).String())
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// dialOnce serves one link.
func (a *Agent) dialOnce(ctx context.Context, d *dialler, up func()) error {
	conn, err := d.dial(ctx, d.Address, controlProtocol)
	if err != nil {
		return err
	}
	rotated := a.Renewal != nil && a.Renewal.Rotated(conn.ConnectionState())
	agent, err := inedo.Accept(ctx, conn, inedo.AgentConfig{
		Options: inedo.Options{MinProtocol: inedo.V2, Timeout: helloTimeout, MaxData: control.MaxData},
	})
	if err != nil {
		return err
	}
	l := newLink(a, control.Agent(agent, nil), d)
	l.rotated = rotated
	return l.run(ctx, up)
}

// A dialler connects to one server.
type dialler struct {
	Server
	sessions tls.ClientSessionCache
}

// dial connects with TLS.
func (d *dialler) dial(ctx context.Context, address, protocol string) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	socket, err := dialTCP(ctx, address)
	if err != nil {
		return nil, err
	}
	config := d.TLS(protocol)
	config.ClientSessionCache = d.sessions
	conn := tlsstream.Client(socket, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		socket.Close()
		return nil, err
	}
	return conn, nil
}

// keepAlive finds a dead peer within 15 s.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 5 * time.Second, Count: 2}

func dialTCP(ctx context.Context, address string) (*net.TCPConn, error) {
	dialer := net.Dialer{Timeout: dialTimeout, KeepAliveConfig: keepAlive}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

// connect opens a data connection and shows its ticket. It implements opener.
func (d *dialler) connect(ctx context.Context, hello *control.ServerHello, ticket control.Ticket) (*control.Conn, error) {
	address, err := d.dataAddress(hello)
	if err != nil {
		return nil, err
	}
	var conn net.Conn
	if hello.PlainData {
		ctx, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		conn, err = dialTCP(ctx, address)
	} else {
		conn, err = d.dial(ctx, address, dataProtocol)
	}
	if err != nil {
		return nil, err
	}
	data := control.AgentData(conn)
	data.SetDeadline(time.Now().Add(helloTimeout))
	if err := data.Send(&control.Attach{Ticket: ticket}); err != nil {
		conn.Close()
		return nil, err
	}
	return data, data.SetDeadline(time.Time{})
}

// dataAddress is where the server wants data connections.
func (d *dialler) dataAddress(hello *control.ServerHello) (string, error) {
	if hello.Data == "" {
		return d.Address, nil
	}
	host, port, err := net.SplitHostPort(hello.Data)
	if err != nil {
		return "", fmt.Errorf("the server's address for data: %w", err)
	}
	if host == "" {
		host, _, err = net.SplitHostPort(d.Address)
	}
	return net.JoinHostPort(host, port), err
}
