// Package control is what server and agent say to each other: the messages of docs/protocols/agent.md, over a connection of the
// Inedo Agent protocol, sealed on inbound links.
//
//	link := control.Server(conn, nil) // conn is an *inedo.Conn after its handshake
//	agent, err := link.Greet(control.ServerHello{Server: "jackfield 1.0", Agent: "lab-pi"})
//	...
//	m, err := link.Receive()
//	switch m := m.(type) {
//	case *control.Register: // m.Services
//	...
//
// Rules:
//   - What is received is of the direction in which it came: a message that only the server sends is unknown if an agent does.
//   - A message with a code that is not known is an *Unknown: it is to be logged, and otherwise ignored.
//   - On a connection with a key nothing is returned that the other end has not sealed, except that it is an error.
//
// The package does not dial, has no deadlines of its own, and does nothing of what messages ask for.
package control

import (
	"crypto/rand"
	"errors"
	"net"
	"sync"
	"time"

	"jackfield/wire/inedo"
)

// MaxData is the length in bytes of the longest data of a message, seal included. It is for inedo.Options.
const MaxData = 64<<10 + SealOverhead

// Version is the version of the messages.
const Version = 1

// ErrFirst says that the other end did not begin with hello, or with one of no version that is known.
var ErrFirst = errors.New("the other end did not begin with a hello of a version that is known")

// A Conn carries messages in both directions: of a link, or those with which a data connection begins. Send may be called by
// several goroutines at a time, Receive by one.
type Conn struct {
	conn *inedo.Conn
	me   sender

	sending sync.Mutex // the seal's counters are in the order of the messages
	seal    *seal      // nil on outbound links
}

// Server is the server's end of a link. A key seals it.
func Server(conn *inedo.Conn, key *Key) *Conn { return newConn(conn, key, fromServer) }

// Agent is the agent's end of a link.
func Agent(conn *inedo.Conn, key *Key) *Conn { return newConn(conn, key, fromAgent) }

func newConn(conn *inedo.Conn, key *Key, me sender) *Conn {
	c := &Conn{conn: conn, me: me}
	if key != nil {
		c.seal = &seal{key: *key, me: me}
	}
	return c
}

// Data is the same end of a data connection of the same link, whose number counts from 1.
func (c *Conn) Data(conn *inedo.Conn, number int64) *Conn {
	data := &Conn{conn: conn, me: c.me}
	if c.seal != nil {
		data.seal = c.seal.with(number)
	}
	return data
}

// Greet sends the server's hello and returns the agent's, which proves that it has the key.
func (c *Conn) Greet(h ServerHello) (*AgentHello, error) {
	h.Version = Version
	rand.Read(h.Nonce[:])
	if c.seal != nil {
		c.seal.server = h.Nonce
	}
	if err := c.Send(&h); err != nil {
		return nil, err
	}
	m, err := c.receive(func(m Message) {
		if hello, ok := m.(*AgentHello); ok && c.seal != nil {
			c.seal.agent = hello.Nonce
		}
	})
	if err != nil {
		return nil, err
	}
	hello, ok := m.(*AgentHello)
	if !ok || hello.Version < Version {
		return nil, ErrFirst
	}
	return hello, nil
}

// Answer receives the server's hello and answers it. The server has not proven yet that it is no recording of itself: its next
// message does.
func (c *Conn) Answer(h AgentHello) (*ServerHello, error) {
	m, err := c.receive(func(m Message) {
		if hello, ok := m.(*ServerHello); ok && c.seal != nil {
			c.seal.server = hello.Nonce
		}
	})
	if err != nil {
		return nil, err
	}
	hello, ok := m.(*ServerHello)
	if !ok || hello.Version < Version {
		return nil, ErrFirst
	}
	h.Version = Version
	rand.Read(h.Nonce[:])
	if c.seal != nil {
		c.seal.agent = h.Nonce
	}
	return hello, c.Send(&h)
}

// Send sends a message. An error is final.
func (c *Conn) Send(m Message) error {
	data, err := encode(m)
	if err != nil {
		return err
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	if c.seal != nil {
		data = c.seal.wrap(m.code(), data)
	}
	return c.conn.Send(m.code(), data)
}

// Receive returns the next message. After an error the connection is to be closed.
func (c *Conn) Receive() (Message, error) { return c.receive(nil) }

// receive lets the first look at a message that is not known yet to be sealed: the other end's nonce is in it.
func (c *Conn) receive(look func(Message)) (Message, error) {
	received, err := c.conn.Receive()
	if err != nil {
		return nil, err
	}
	data := received.Data
	if c.seal == nil {
		return decode(c.me.other(), received.Command, data)
	}
	if look != nil && len(data) >= SealOverhead {
		if m, err := decode(c.me.other(), received.Command, data[counterSize:len(data)-sealSize]); err == nil {
			look(m)
		}
	}
	if data, err = c.seal.unwrap(received.Command, data); err != nil {
		return nil, err
	}
	return decode(c.me.other(), received.Command, data)
}

// Raw returns the connection below, when its messages have ended and the stream's bytes begin.
func (c *Conn) Raw() (net.Conn, error) { return c.conn.Raw() }

// RemoteAddr is the address of the other end.
func (c *Conn) RemoteAddr() net.Addr { return c.conn.RemoteAddr() }

// SetDeadline limits Send and Receive. One that passes is final.
func (c *Conn) SetDeadline(t time.Time) error { return c.conn.SetDeadline(t) }

// SetReadDeadline limits Receive.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.conn.SetReadDeadline(t) }

// SetWriteDeadline limits Send.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.conn.SetWriteDeadline(t) }

// Close closes the connection.
func (c *Conn) Close() error { return c.conn.Close() }
