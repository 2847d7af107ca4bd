package https

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"jackfield"
)

// newPipe returns the two ends of a stream in memory: a session has the near one for its client, net/http the far one for the
// connection to its server. Nothing is held between them: what one end writes waits until the other takes it.
//
// What was not ended by CloseWrite is read as errCut at the far end, so an answer that was cut short is never a whole one.
func newPipe(client context.Context) (*nearEnd, *farEnd) {
	up, upIn := io.Pipe()
	down, downIn := io.Pipe()
	return &nearEnd{in: up, out: downIn, client: client}, &farEnd{in: down, out: upIn}
}

var (
	errCut    = errors.New("the session was cut")
	errEnough = errors.New("the answer is complete")
)

// A nearEnd is a session's client.
type nearEnd struct {
	in     *io.PipeReader
	out    *io.PipeWriter
	client context.Context // ends when the one who asked has gone
	noDeadlines
}

var _ jackfield.Stream = (*nearEnd)(nil)

// Read implements net.Conn.
func (e *nearEnd) Read(p []byte) (int, error) { return e.in.Read(p) }

// Write implements net.Conn. What comes behind the end of an answer is dropped.
func (e *nearEnd) Write(p []byte) (int, error) {
	n, err := e.out.Write(p)
	if err == errEnough {
		return len(p), nil
	}
	return n, err
}

// CloseWrite implements jackfield.Stream.
func (e *nearEnd) CloseWrite() error { return e.out.Close() }

// Close implements net.Conn.
func (e *nearEnd) Close() error {
	e.in.CloseWithError(errCut)         // first: who reads of the cut may end his side
	return e.out.CloseWithError(errCut) // unless CloseWrite came first
}

// Broken says whether the client has gone.
func (e *nearEnd) Broken() bool { return e.client.Err() != nil }

// A farEnd is net/http's connection to a service. Its Close does not end the session: who knows whether the answer was taken,
// ends it.
type farEnd struct {
	in  *io.PipeReader
	out *io.PipeWriter
	cut atomic.Bool // as a read has shown
	noDeadlines
}

// Read implements net.Conn.
func (e *farEnd) Read(p []byte) (int, error) {
	n, err := e.in.Read(p)
	if err == errCut {
		e.cut.Store(true)
	}
	return n, err
}

// broken says whether what comes from the service has not ended in order.
func (e *farEnd) broken() bool { return e.cut.Load() }

// Write implements net.Conn.
func (e *farEnd) Write(p []byte) (int, error) { return e.out.Write(p) }

// CloseWrite ends what the service gets.
func (e *farEnd) CloseWrite() error { return e.out.Close() }

// Close implements net.Conn.
func (e *farEnd) Close() error { return e.in.CloseWithError(errEnough) }

// noDeadlines is what net.Conn has and nobody needs here: the deadline of a session is its context's.
type noDeadlines struct{}

func (noDeadlines) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (noDeadlines) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (noDeadlines) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }
func (noDeadlines) LocalAddr() net.Addr              { return memory{} }
func (noDeadlines) RemoteAddr() net.Addr             { return memory{} }

type memory struct{}

func (memory) Network() string { return "memory" }
func (memory) String() string  { return "memory" }
