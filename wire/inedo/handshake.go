package inedo

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"time"
)

// Accept is the agent's half of the handshake with the client at the other end of conn. A client with a wrong protocol ID,
// or with no version in common, gets no byte.
//
// It gives up when ctx ends or the timeout has passed. On an error conn is closed; otherwise its deadlines are reset.
func Accept(ctx context.Context, conn net.Conn, c AgentConfig) (*Conn, error) {
	var err error
	if c.Options, err = c.Options.withDefaults(); err != nil {
		conn.Close()
		return nil, err
	}
	return within(ctx, conn, c.Timeout, func(h *handshake) (*Conn, error) { return h.accept(c) })
}

// Handshake is the client's half of the handshake with the agent at the other end of conn. An agent that requires another
// mode than the configured one is refused, with a ModeError.
//
// It gives up when ctx ends or the timeout has passed. On an error conn is closed; otherwise its deadlines are reset.
func Handshake(ctx context.Context, conn net.Conn, c ClientConfig) (*Conn, error) {
	var err error
	if c.Options, err = c.Options.withDefaults(); err != nil {
		conn.Close()
		return nil, err
	}
	return within(ctx, conn, c.Timeout, func(h *handshake) (*Conn, error) { return h.connect(c) })
}

// Probe sends the client's request, returns what the agent replies, whatever mode it requires, and closes conn. Of the
// configuration's options only the protocol versions and the timeout matter.
func Probe(ctx context.Context, conn net.Conn, c ClientConfig) (Reply, error) {
	defer conn.Close()
	var err error
	c.Options, err = Options{MinProtocol: c.MinProtocol, MaxProtocol: c.MaxProtocol, Timeout: c.Timeout}.withDefaults()
	if err != nil {
		return Reply{}, err
	}
	var reply Reply
	_, err = within(ctx, conn, c.Timeout, func(h *handshake) (_ *Conn, err error) {
		reply, err = h.ask(c)
		return nil, err
	})
	return reply, err
}

// A handshake is one in progress. Its context ends with the timeout.
type handshake struct {
	ctx  context.Context
	conn net.Conn
}

// within runs a handshake until ctx ends or the timeout has passed.
func within(ctx context.Context, conn net.Conn, timeout time.Duration, run func(*handshake) (*Conn, error)) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	c, err := run(&handshake{ctx, conn})
	if !stop() {
		err = context.Cause(ctx)
	}
	if err == nil {
		err = conn.SetDeadline(time.Time{})
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("inedo: handshake: %w", err)
	}
	return c, nil
}

func (h *handshake) accept(c AgentConfig) (*Conn, error) {
	request, err := readRequest(h.conn, c.StraightID)
	if err != nil {
		return nil, err
	}
	protocol, err := request.negotiate(c)
	if err != nil {
		return nil, err
	}
	reply := Reply{Mode: c.Mode, Version: cmp.Or(c.Version, Version{Major: DefaultMajor}), Width: cmp.Or(c.Width, WidthWide)}
	if request.ranged() {
		reply.Slot = int32(protocol)
	} // else it is a session ID: 0, so that the client, should it come back with it, does not look like V2
	if c.Mode == ModeAES {
		if _, err := io.ReadFull(c.random, reply.IV[:]); err != nil {
			return nil, err
		}
	}
	if _, err := h.conn.Write(reply.marshal()); err != nil {
		return nil, err
	}
	conn := &Conn{stream: h.conn, protocol: protocol, reply: reply}
	conn.in.start(c.Options, reply, protocol == V1)
	conn.out.start(c.Options, reply, false)
	if c.Mode == ModeSSL {
		return conn, h.startTLS(conn, tls.Server(h.conn, c.TLS))
	}
	return conn, nil
}

func (h *handshake) connect(c ClientConfig) (*Conn, error) {
	reply, err := h.ask(c)
	if err != nil {
		return nil, err
	}
	if reply.Mode != c.Mode {
		return nil, &ModeError{Want: c.Mode, Got: reply.Mode}
	}
	protocol, err := reply.protocol(c)
	if err != nil {
		return nil, err
	}
	conn := &Conn{stream: h.conn, protocol: protocol, reply: reply, target: c.Type}
	conn.in.start(c.Options, reply, false)
	conn.out.start(c.Options, reply, protocol == V1)
	if c.Mode == ModeSSL {
		return conn, h.startTLS(conn, tls.Client(h.conn, c.TLS))
	}
	return conn, nil
}

// ask sends the request and reads the reply.
func (h *handshake) ask(c ClientConfig) (Reply, error) {
	if _, err := h.conn.Write(c.request().marshal()); err != nil {
		return Reply{}, err
	}
	grace := cmp.Or(c.Grace, DefaultGrace)
	return readReply(h.conn, c.Width, func(p []byte) (int, error) { return h.readWithin(grace, p) })
}

// readWithin reads what comes within so long, if anything. It fails only if the handshake is over.
func (h *handshake) readWithin(d time.Duration, p []byte) (int, error) {
	if err := h.setReadDeadline(time.Now().Add(d)); err != nil {
		return 0, err
	}
	n, _ := h.conn.Read(p) // an error will come again
	return n, h.setReadDeadline(time.Time{})
}

// setReadDeadline fails if the handshake is over: the deadline that told it so may just have been replaced.
func (h *handshake) setReadDeadline(t time.Time) error {
	if err := h.conn.SetReadDeadline(t); err != nil {
		return err
	}
	return h.ctx.Err()
}

func (h *handshake) startTLS(conn *Conn, stream *tls.Conn) error {
	if err := stream.HandshakeContext(h.ctx); err != nil {
		return err
	}
	if v := stream.ConnectionState().Version; v < tls.VersionTLS12 {
		return fmt.Errorf("%s is too old", tls.VersionName(v))
	}
	conn.stream = stream
	return nil
}
