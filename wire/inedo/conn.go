package inedo

import (
	"crypto/tls"
	"net"
	"time"
)

// A Message is a command with its data.
type Message struct {
	// Type is the agent type that the message is for. Only a client's messages in V1 have one.
	Type AgentType

	Command int32
	Data    []byte // encoded by the data conventions, see Encoder and Decoder
}

// A Conn is a connection after the handshake. Send may be called by several goroutines at a time, and so may Receive.
type Conn struct {
	stream   net.Conn // a *tls.Conn in ModeSSL
	reply    Reply
	protocol Protocol
	target   AgentType // of what Send sends
	in       reader
	out      writer
}

// Send sends a message to the agent type of the configuration. The data are not kept.
//
// Errors: ErrLength (nothing was sent), and those of the connection. After one of those the peer may have part of a
// message, so every later Send fails likewise.
func (c *Conn) Send(command int32, data []byte) error {
	return c.SendMessage(Message{Type: c.target, Command: command, Data: data})
}

// SendMessage is Send for any agent type. Where the header has no place for the type, it is not sent.
func (c *Conn) SendMessage(m Message) error { return c.out.send(c.stream, m) }

// Receive waits for a message. Its data belong to the caller. Nothing beyond the message is read.
//
// Errors: io.EOF when the peer has ended the connection between two messages, io.ErrUnexpectedEOF within one, ErrLength,
// ErrDecrypt, and those of the connection. After ErrDecrypt, and after a deadline that passed before the first byte of a
// message, Receive may be called again; after others it returns the same error.
func (c *Conn) Receive() (Message, error) { return c.in.receive(c.stream) }

// Raw returns the stream below, for bytes that are not messages: the *tls.Conn in ModeSSL, in ModeNone the connection that
// the handshake was given. Nothing that follows the last message received is lost. Once the two ends have agreed on it, the
// stream is used instead of Send and Receive. ErrRaw in ModeAES, where it would bypass the encryption.
func (c *Conn) Raw() (net.Conn, error) {
	if c.reply.Mode == ModeAES {
		return nil, ErrRaw
	}
	return c.stream, nil
}

// Protocol returns the version that was agreed on.
func (c *Conn) Protocol() Protocol { return c.protocol }

// Reply returns the agent's half of the handshake.
func (c *Conn) Reply() Reply { return c.reply }

// ConnectionState returns the state of TLS; false in the other modes.
func (c *Conn) ConnectionState() (tls.ConnectionState, bool) {
	stream, ok := c.stream.(*tls.Conn)
	if !ok || c.reply.Mode != ModeSSL {
		return tls.ConnectionState{}, false
	}
	return stream.ConnectionState(), true
}

// Close closes the connection; Send and Receive that wait return. In ModeSSL it tells the peer, and if that does not read it
// takes up to 5 s. Whoever is in a hurry closes the connection that the handshake was given.
func (c *Conn) Close() error { return c.stream.Close() }

// LocalAddr returns the address on this side.
func (c *Conn) LocalAddr() net.Addr { return c.stream.LocalAddr() }

// RemoteAddr returns the address of the peer.
func (c *Conn) RemoteAddr() net.Addr { return c.stream.RemoteAddr() }

// SetDeadline sets both deadlines.
func (c *Conn) SetDeadline(t time.Time) error { return c.stream.SetDeadline(t) }

// SetReadDeadline sets when Receive gives up. If it passes within a message, that is for good.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.stream.SetReadDeadline(t) }

// SetWriteDeadline sets when Send gives up, for good.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.stream.SetWriteDeadline(t) }
