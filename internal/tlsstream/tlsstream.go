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
// It also asks the kernel less often. crypto/tls writes every record by itself, and reads one at a time; here a long Write hands
// over several at once, and a Read takes all that have come. Buffers for that are in use only while bytes move: an idle stream has
// none.
//
// A reset is sent by SetLinger(0) and then Close on what NetConn returns; one that arrives is an error of Read. A peer that
// ends its direction may go on reading, and so may we: TLS 1.2 says otherwise (RFC 5246, section 7.2.1), and nobody heeds it.
package tlsstream

import (
	"crypto/tls"
	"io"
	"net"
	"sync/atomic"
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
func Below(conn *net.TCPConn) net.Conn { return newSocket(conn) }

// Of returns the stream of a connection that Server or Client made; another one ends as crypto/tls has it.
func Of(conn *tls.Conn) *Stream {
	below, _ := conn.NetConn().(*socket)
	return &Stream{Conn: conn, below: below}
}

// A Stream is a TLS connection that reads io.EOF only after close_notify. It is read by one goroutine at a time, and written by
// one.
type Stream struct {
	*tls.Conn
	below *socket

	// What AwaitRead has found: a byte or an error, for the next Read.
	first   [1]byte
	found   int
	failure error

	calls atomic.Int32 // of Write under way, twice; and 1 once it is closed
}

// AwaitRead waits until Read need not: bytes are there, the stream has ended, or the deadline has passed. Who waits with it needs
// no buffer meanwhile.
func (s *Stream) AwaitRead() {
	if s.found == 0 && s.failure == nil {
		s.found, s.failure = s.read(s.first[:])
	}
}

// Read implements net.Conn. It returns what has come, not only the first record of it.
func (s *Stream) Read(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	if s.AwaitRead(); s.found == 0 {
		err, s.failure = s.failure, nil
		return 0, err
	}
	p[0] = s.first[0]
	n, s.found = 1, 0
	if s.below == nil || s.failure != nil {
		return n, nil // there is more to come, or an error, at the next one
	}
	s.below.in.eager = true
	defer func() { s.below.in.eager = false }()
	for n < len(p) && s.failure == nil {
		var more int
		more, s.failure = s.read(p[n:])
		n += more
	}
	if s.failure == errNothing {
		s.failure = nil
	}
	return n, nil
}

// read is Read of the connection, with the right end.
func (s *Stream) read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if err == io.EOF && s.below != nil && s.below.ended.Load() {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Write implements net.Conn. After an error, the number of bytes is about what the connection has taken.
func (s *Stream) Write(p []byte) (int, error) {
	if s.below == nil || len(p) <= maxRecord {
		return s.Conn.Write(p)
	}
	return s.writeLong(p)
}

// WriteAll writes several buffers, as if they were one.
func (s *Stream) WriteAll(buffers ...[]byte) (written int, err error) {
	total := 0
	for _, p := range buffers {
		total += len(p)
	}
	if s.below != nil && total > maxRecord {
		return s.writeLong(buffers...)
	}
	return s.writeEach(buffers)
}

func (s *Stream) writeEach(buffers [][]byte) (written int, err error) {
	for _, p := range buffers {
		if len(p) == 0 {
			continue
		}
		n, err := s.Conn.Write(p)
		if written += n; err != nil {
			return written, err
		}
	}
	return written, nil
}

// writeLong hands several records over at once.
func (s *Stream) writeLong(buffers ...[]byte) (int, error) {
	if s.calls.Add(2)&1 != 0 {
		s.calls.Add(-2)
		return 0, net.ErrClosed
	}
	defer s.calls.Add(-2)
	s.below.out.hold()
	n, err := s.writeEach(buffers)
	share, refusal := s.below.out.release()
	if refusal != nil {
		return int(float64(n) * share), refusal
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

// Close implements net.Conn. It sends close_notify unless a Write waits, which it ends.
func (s *Stream) Close() error {
	if s.calls.Or(1) > 1 {
		return s.below.Close()
	}
	return s.Conn.Close()
}
