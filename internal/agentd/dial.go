package agentd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"syscall"
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
	linkTimeout  = 5 * time.Second  // of a dial for a link, with TLS
	dataTimeout  = 10 * time.Second // of one for data: as long as a ticket is good, for somebody waits
	helloTimeout = 10 * time.Second
)

// Dial keeps a link to the server until ctx ends, whose cause it returns, or the server has the agent end: ErrDrained. Streams that are
// open have had their time by then, unless cutNow was closed; it may be nil.
func (a *Agent) Dial(ctx context.Context, server Server, cutNow <-chan struct{}) error {
	serving, cut := context.WithCancelCause(context.Background())
	defer cut(context.Canceled)
	d := newDialler(server)
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.keep(serving, d)
	}()
	why := a.wait(ctx)
	a.settle(cutNow)
	cut(why)
	<-done
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
	conn, err := d.dial(ctx, d.Address, controlProtocol, linkTimeout)
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
	l.dialled = d.Address
	l.rotated = rotated
	return l.run(ctx, up)
}

// A dialler connects to one server.
type dialler struct {
	Server
	sessions tls.ClientSessionCache
	opening  chan struct{} // has room for maxOpening data connections that are being opened
}

func newDialler(s Server) *dialler {
	return &dialler{Server: s, sessions: tls.NewLRUClientSessionCache(0), opening: make(chan struct{}, maxOpening)}
}

// dial connects with TLS.
func (d *dialler) dial(ctx context.Context, address, protocol string, timeout time.Duration) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	socket, err := dialTCP(ctx, address)
	if err != nil {
		return nil, err
	}
	config := d.TLS(protocol)
	config.ClientSessionCache = d.sessions
	if protocol == dataProtocol {
		// A stream may wait for it, so it should be quick. It resumes the session of the link, whose key exchange is the usual hybrid
		// one and is mixed into its keys (RFC 8446, section 7.1).
		config.CurvePreferences = []tls.CurveID{tls.CurveP256}
	}
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
	dialer := net.Dialer{KeepAliveConfig: keepAlive}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

// A server lets few of one address shake hands at a time, and agents behind one NAT share theirs.
const (
	maxOpening = 8
	tries      = 4
	retryPause = 50 * time.Millisecond // and as much again at random; doubled each time
)

// connect opens a data connection and shows its ticket. It implements opener.
func (d *dialler) connect(ctx context.Context, hello *control.ServerHello, ticket control.Ticket) (*control.Conn, error) {
	select {
	case d.opening <- struct{}{}:
		defer func() { <-d.opening }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	conn, err := d.dialData(ctx, hello)
	for try, pause := 1, retryPause; isReset(err) && try < tries; try, pause = try+1, 2*pause {
		select {
		case <-time.After(pause + rand.N(pause)):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		conn, err = d.dialData(ctx, hello)
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

// isReset says whether the server had no room for a connection.
func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF)
}

func (d *dialler) dialData(ctx context.Context, hello *control.ServerHello) (net.Conn, error) {
	address, err := d.dataAddress(hello)
	if err != nil {
		return nil, err
	}
	if !hello.PlainData {
		return d.dial(ctx, address, dataProtocol, dataTimeout)
	}
	ctx, cancel := context.WithTimeout(ctx, dataTimeout)
	defer cancel()
	return dialTCP(ctx, address)
}

// dataAddress is where the server wants data connections: at whatever port it says, and on the host that the agent dials anyway. No
// server has the agent connect to others.
func (d *dialler) dataAddress(hello *control.ServerHello) (string, error) {
	if hello.Data == "" {
		return d.Address, nil
	}
	_, port, err := net.SplitHostPort(hello.Data)
	if err != nil {
		return "", fmt.Errorf("the server's address for data: %w", err)
	}
	host, _, err := net.SplitHostPort(d.Address)
	return net.JoinHostPort(host, port), err
}
