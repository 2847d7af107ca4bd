package https

import (
	"bufio"
	"io"
	"net"
	"net/http"

	"jackfield"
	"jackfield/internal/relay"
)

// Hijack is what ReverseProxy looks for when the service has switched to another protocol, such as that of a WebSocket.
func (x *exchange) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if x.request.ProtoMajor != 1 {
		return nil, nil, http.ErrNotSupported
	}
	stream, read, err := Hijack(x.ResponseWriter)
	if err != nil {
		x.lost.Store(true)
		return nil, nil, err
	}
	x.begin()
	conn := &switched{Stream: &begun{Stream: stream, read: read}, exchange: x}
	return conn, bufio.NewReadWriter(bufio.NewReader(conn), bufio.NewWriter(conn)), nil
}

// A switched connection is a client's that speaks another protocol now.
type switched struct {
	jackfield.Stream
	exchange *exchange
}

// Read implements net.Conn.
func (s *switched) Read(p []byte) (int, error) {
	n, err := s.Stream.Read(p)
	if err != io.EOF {
		s.note(err)
	}
	return n, err
}

// Write implements net.Conn.
func (s *switched) Write(p []byte) (int, error) {
	n, err := s.Stream.Write(p)
	s.note(err)
	return n, err
}

func (s *switched) note(err error) {
	if err != nil {
		s.exchange.lost.Store(true)
	}
}

// Close implements net.Conn. What has not ended in order, at either side, is reset.
func (s *switched) Close() error {
	if s.exchange.lost.Load() || s.exchange.far.broken() {
		relay.Reset(s.Stream)
		return nil
	}
	return s.Stream.Close()
}
