package tcpmux

import "net"

// A stream is a connection whose first bytes differ from what its next Read would give. One goroutine at a time may read.
type stream struct {
	net.Conn
	prefix  []byte // was read too early
	skipNUL bool   // drop the first byte if it is NUL
}

type closeWriter interface{ CloseWrite() error }

// withPrefix returns conn with prefix in front of what it still has to say.
func withPrefix(conn net.Conn, prefix []byte) net.Conn {
	if len(prefix) == 0 {
		return conn
	}
	return (&stream{Conn: conn, prefix: prefix}).asConn()
}

// SkipNUL returns conn without its very first byte, if that is NUL. xinetd sends one after its reply line, where it
// becomes the first byte of the service. Use it on the connection that [Open] returned, and only if the server is known
// to do that: NUL may be data. SkipNUL itself does not wait for the byte.
func SkipNUL(conn net.Conn) net.Conn {
	return (&stream{Conn: conn, skipNUL: true}).asConn()
}

// asConn returns s with CloseWrite exactly if its connection has it.
func (s *stream) asConn() net.Conn {
	if half, ok := s.Conn.(closeWriter); ok {
		return struct {
			*stream
			closeWriter
		}{s, half}
	}
	return s
}

// NetConn returns the connection below. Bytes that were read from it already, or are to be skipped, are not its affair.
func (s *stream) NetConn() net.Conn { return s.Conn }

func (s *stream) Read(p []byte) (int, error) {
	n, err := s.read(p)
	if !s.skipNUL || n == 0 {
		return n, err
	}
	s.skipNUL = false
	if p[0] != 0 {
		return n, err
	}
	if n == 1 && err == nil {
		return s.read(p)
	}
	return copy(p, p[1:n]), err
}

func (s *stream) read(p []byte) (int, error) {
	if len(s.prefix) == 0 {
		return s.Conn.Read(p)
	}
	n := copy(p, s.prefix)
	s.prefix = s.prefix[n:]
	return n, nil
}
