// Package tlsstream makes the ends of a TLS connection as exact as those of TCP.
//
//	conn := tlsstream.Server(tcp, config) // or Client
//	...handshake, HTTP, whatever comes first...
//	stream := tlsstream.Of(conn)
//
// crypto/tls alone does not do for a relay:
//
//   - It reads a connection that ended without close_notify (RFC 8446, section 6.1) between two records as one that ended in
//     order: a stream that was cut short cannot be told from a whole one. Here that is io.ErrUnexpectedEOF.
//   - Its CloseWrite gives up after five seconds, so a peer that is slow to read loses the end of what it is sent. Here it
//     waits, as Write does, until there is room, a deadline set before it has passed, or the connection is closed.
//
// A reset is sent by SetLinger(0) and then Close on what NetConn returns; one that arrives is an error of Read. A peer that
// ends its direction may go on reading, and so may we: TLS 1.2 says otherwise (RFC 5246, section 7.2.1), and nobody heeds it.
package tlsstream

import (
	"crypto/tls"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// Server is tls.Server for a connection that Of will be asked for.
func Server(conn *net.TCPConn, config *tls.Config) *tls.Conn {
	return tls.Server(Below(conn), config)
}

// Client is tls.Client for a connection that Of will be asked for.
func Client(conn *net.TCPConn, config *tls.Config) *tls.Conn {
	return tls.Client(Below(conn), config)
}

// Below returns what has to lie below a *tls.Conn that somebody else makes, for Of to know it.
func Below(conn *net.TCPConn) net.Conn { return &socket{TCPConn: conn} }

// Of returns the stream of a connection that Server or Client made; another one ends as crypto/tls has it.
func Of(conn *tls.Conn) *Stream {
	below, _ := conn.NetConn().(*socket)
	return &Stream{Conn: conn, below: below}
}

// A Stream is a TLS connection that reads io.EOF only after close_notify.
type Stream struct {
	*tls.Conn
	below *socket
}

// Read implements net.Conn.
func (s *Stream) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if err == io.EOF && s.below != nil && s.below.ended.Load() {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// CloseWrite sends close_notify.
func (s *Stream) CloseWrite() error {
	if s.below != nil {
		s.below.patient.Store(true)
	}
	return s.Conn.CloseWrite()
}

// A socket is what lies below TLS.
type socket struct {
	*net.TCPConn
	ended   atomic.Bool // it was read to its end, and that was not close_notify: nothing is read after that
	patient atomic.Bool // the deadlines of crypto/tls for close_notify do not count
}

// Read implements net.Conn.
func (s *socket) Read(p []byte) (int, error) {
	n, err := s.TCPConn.Read(p)
	if err == io.EOF {
		s.ended.Store(true)
	}
	return n, err
}

// SetWriteDeadline implements net.Conn. The one that crypto/tls sets after close_notify would only guard against writes
// that it refuses anyway.
func (s *socket) SetWriteDeadline(t time.Time) error {
	if s.patient.Load() {
		return nil
	}
	return s.TCPConn.SetWriteDeadline(t)
}
