package tlsstream

import (
	"io"
	"net"
	"sync/atomic"
	"time"
)

// A socket is what lies below TLS.
type socket struct {
	*net.TCPConn
	ended   atomic.Bool // it was read to its end, and that was not close_notify: nothing is read after that
	patient atomic.Bool // the deadlines of crypto/tls for close_notify do not count
	in      input       // of whoever reads, which crypto/tls lets only one do
	out     output
}

func newSocket(conn *net.TCPConn) *socket {
	s := &socket{TCPConn: conn}
	s.in.init(conn)
	s.out.conn = conn
	return s
}

// Read implements net.Conn.
func (s *socket) Read(p []byte) (int, error) {
	n, err := s.in.read(p)
	if err == io.EOF {
		s.ended.Store(true)
	}
	return n, err
}

// Write implements net.Conn.
func (s *socket) Write(p []byte) (int, error) { return s.out.write(p) }

// SetWriteDeadline implements net.Conn. The one that crypto/tls sets after close_notify would only guard against writes
// that it refuses anyway.
func (s *socket) SetWriteDeadline(t time.Time) error {
	if s.patient.Load() {
		return nil
	}
	return s.TCPConn.SetWriteDeadline(t)
}
