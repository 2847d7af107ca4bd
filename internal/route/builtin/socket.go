package builtin

import (
	"context"
	"net"
	"sync/atomic"
	"time"

	"jackfield"
)

// past is a deadline that ends every read and write at once.
var past = time.Unix(1, 0)

// TakeSocket serves the client on its own socket. It needs no preparation and never fails.
func (r *Route) TakeSocket(_ context.Context, _ *jackfield.Request, client *net.TCPConn) (jackfield.Taken, error) {
	return &session{route: r, client: client, stream: counted{Stream: client}}, nil
}

// A session is a client served on its own socket.
type session struct {
	route  *Route
	client *net.TCPConn
	stream counted
}

// Serve runs the service and returns nil when it has said everything, or what broke the connection, as chargen always
// ends. When ctx is cancelled before that, it returns ctx's cause, and the close that follows resets the client.
func (s *session) Serve(ctx context.Context) (details string, err error) {
	stop := context.AfterFunc(ctx, func() { s.client.SetDeadline(past) })
	defer stop()
	err = s.route.serve(ctx, &s.stream)
	if err != nil && ctx.Err() != nil {
		s.client.SetLinger(0)
		return "", context.Cause(ctx)
	}
	return "", err
}

// Transfer counts the bytes so far.
func (s *session) Transfer() jackfield.Transfer {
	return jackfield.Transfer{FromClient: s.stream.read.Load(), FromService: s.stream.written.Load()}
}

// Release has nothing to free.
func (s *session) Release() {}

// counted counts the bytes that pass through a stream. It embeds the interface, not the socket: the socket's ReadFrom and
// WriteTo would pass the counters by.
type counted struct {
	jackfield.Stream
	read, written atomic.Int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Stream.Read(b)
	c.read.Add(int64(n))
	return n, err
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.Stream.Write(b)
	c.written.Add(int64(n))
	return n, err
}
