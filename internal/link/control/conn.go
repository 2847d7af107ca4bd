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

// A carrier is what a Conn sends its messages by: an *inedo.Conn, or a frames.
type carrier interface {
	Send(command int32, data []byte) error
	Receive() (inedo.Message, error)
	Raw() (net.Conn, error)
	RemoteAddr() net.Addr
	SetDeadline(time.Time) error
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
	Close() error
}

// A Conn carries messages in both directions: of a link, or those with which a data connection begins. Send may be called by
// several goroutines at a time, Receive by one.
type Conn struct {
	carrier
	me     sender
	peeked *inedo.Message // received, but only looked at

	sending sync.Mutex // the seal's counters are in the order of the messages
	seal    *seal      // nil on outbound links
}

// Server is the server's end of a link, or of a data connection until it calls Join. A key seals it.
func Server(conn *inedo.Conn, key *Key) *Conn { return newConn(conn, key, fromServer) }

// Agent is the agent's end.
func Agent(conn *inedo.Conn, key *Key) *Conn { return newConn(conn, key, fromAgent) }

// ServerData is the server's end of a data connection of an outbound link. It has no handshake of the Inedo protocol.
func ServerData(conn net.Conn) *Conn { return newConn(frames{conn}, nil, fromServer) }

// AgentData is the agent's end.
func AgentData(conn net.Conn) *Conn { return newConn(frames{conn}, nil, fromAgent) }

func newConn(conn carrier, key *Key, me sender) *Conn {
	c := &Conn{carrier: conn, me: me}
	if key != nil {
		c.seal = &seal{key: *key, me: me}
	}
	return c
}

// Join makes the connection a data connection of a link, whose number counts from 1: from here on it is sealed as such.
func (c *Conn) Join(link *Conn, number int64) {
	if link.seal != nil {
		c.seal = link.seal.with(number)
	}
}

// Peek returns the message that Receive will return, if it is sealed as it has to be: nothing but what says which seal that is may
// be believed of it.
func (c *Conn) Peek() (Message, error) {
	if c.peeked == nil {
		received, err := c.carrier.Receive()
		if err != nil {
			return nil, err
		}
		c.peeked = &received
	}
	data := c.peeked.Data
	if c.seal != nil {
		if len(data) < SealOverhead {
			return nil, errSeal
		}
		data = data[counterSize : len(data)-sealSize]
	}
	return decode(c.me.other(), c.peeked.Command, data)
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
	if first, err := c.Peek(); err != nil {
		return nil, err
	} else if hello, ok := first.(*AgentHello); ok && c.seal != nil {
		c.seal.agent = hello.Nonce
	}
	m, err := c.Receive()
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
	if first, err := c.Peek(); err != nil {
		return nil, err
	} else if hello, ok := first.(*ServerHello); ok && c.seal != nil {
		c.seal.server = hello.Nonce
	}
	m, err := c.Receive()
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
func (c *Conn) Send(m Message) error { return c.send(m, 0) }

// SendWithin sends a message that the other end has to take within a time, which begins when it is this message's turn. The write
// deadline is changed. An error is final.
func (c *Conn) SendWithin(limit time.Duration, m Message) error { return c.send(m, limit) }

func (c *Conn) send(m Message, limit time.Duration) error {
	data, err := encode(m)
	if err != nil {
		return err
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	if limit > 0 {
		if err := c.SetWriteDeadline(time.Now().Add(limit)); err != nil {
			return err
		}
	}
	if c.seal != nil {
		data = c.seal.wrap(m.code(), data)
	}
	return c.carrier.Send(m.code(), data)
}

// Receive returns the next message. After an error the connection is to be closed.
func (c *Conn) Receive() (Message, error) {
	received := c.peeked
	if c.peeked = nil; received == nil {
		next, err := c.carrier.Receive()
		if err != nil {
			return nil, err
		}
		received = &next
	}
	data := received.Data
	if c.seal != nil {
		var err error
		if data, err = c.seal.unwrap(received.Command, data); err != nil {
			return nil, err
		}
	}
	return decode(c.me.other(), received.Command, data)
}
