package https

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"

	"jackfield"
	"jackfield/internal/relay"
)

// Hijack is what ReverseProxy looks for when the service has switched to another protocol, such as that of a WebSocket.
func (x *exchange) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if x.request.ProtoMajor != 1 {
		return nil, nil, http.ErrNotSupported
	}
	if !x.upload.ended.Load() {
		return nil, nil, errEarlySwitch
	}
	stream, read, err := Hijack(x.ResponseWriter)
	if err != nil {
		x.lost.Store(true)
		return nil, nil, err
	}
	x.begin()
	x.switched = &switched{Stream: &begun{Stream: stream, read: read}, exchange: x}
	return x.switched, bufio.NewReadWriter(bufio.NewReader(x.switched), bufio.NewWriter(x.switched)), nil
}

var errEarlySwitch = errors.New("the service has switched to another protocol before it had the whole request")

// A switched connection is a client's that speaks another protocol now. The end of both directions waits for that of the session.
type switched struct {
	jackfield.Stream
	exchange *exchange
	ended    atomic.Bool // by the client, in order
}

// Read implements net.Conn.
func (s *switched) Read(p []byte) (int, error) {
	n, err := s.Stream.Read(p)
	if err == io.EOF {
		s.ended.Store(true)
	} else {
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

// CloseWrite implements jackfield.Stream.
func (s *switched) CloseWrite() error {
	if s.ended.Load() {
		return nil // it would be the end
	}
	return s.Stream.CloseWrite()
}

// Close implements net.Conn. It does nothing yet.
func (*switched) Close() error { return nil }

// end closes the connection. What has not ended in order, at either side, is reset.
func (s *switched) end() {
	if s.exchange.lost.Load() || s.exchange.far.broken() {
		relay.Reset(s.Stream)
		return
	}
	s.Stream.Close()
}
