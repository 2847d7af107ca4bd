package https

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"jackfield"
)

// A guard stands between an HTTP/1.1 connection and net/http, and ends what cannot be read in one way only. It knows, too, where
// requests begin: no byte of a body is ever the beginning of one, whatever net/http makes of it (see follow).
type guard struct {
	jackfield.Stream
	framing framing
	refused func(error) // is told

	failure error       // once there is one, nothing more is read
	lingers atomic.Bool // Serve says farewell, so that the refusal arrives

	served int64       // requests that have come from net/http
	last   atomic.Bool // no request follows, nothing more is read, and Serve says farewell, so that the answer arrives
}

// errLast is an error after which net/http sends nothing.
var errLast error = &net.OpError{Op: "read", Err: errors.New("the connection has had its last request")}

// follow counts a request that net/http has read, and returns it with a body that is followed. It fails if the request cannot
// be one, for the guard has not seen it, or there is to be none.
func (g *guard) follow(r *http.Request) (*http.Request, *followedBody, error) {
	g.served++
	if g.last.Load() || g.served > g.framing.requests.Load() {
		return nil, nil, errLast
	}
	if r.ContentLength == 0 {
		return r, nil, nil
	}
	body := &followedBody{ReadCloser: r.Body}
	r = r.WithContext(r.Context()) // net/http goes on with its own
	r.Body = body
	return r, body, nil
}

// A followedBody knows whether it was read to its end. Where it was not, the next request does not begin where reading was
// given up, so there is none.
type followedBody struct {
	io.ReadCloser
	ended atomic.Bool
}

// Read implements io.Reader.
func (b *followedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.ended.Store(true)
	}
	return n, err
}

// unread says whether there is something left of it.
func (b *followedBody) unread() bool { return b != nil && !b.ended.Load() }

// Read implements net.Conn. net/http answers its error with 400 and closes the connection.
func (g *guard) Read(p []byte) (int, error) {
	if g.failure != nil {
		return 0, g.failure
	}
	if g.last.Load() {
		return 0, errLast
	}
	n, err := g.Stream.Read(p)
	fine, failure := g.framing.scan(p[:n])
	if failure != nil {
		g.failure = failure
		g.lingers.Store(true)
		g.refused(failure)
		return fine, failure
	}
	g.lingers.Store(g.framing.oversize()) // for net/http's 431
	return n, err
}

// Close implements net.Conn.
func (g *guard) Close() error {
	if g.lingers.Load() || g.last.Load() {
		return nil
	}
	return g.Stream.Close()
}

// What a client may still send of a body that nobody wants, and for how long, so that it reads the answer before a reset
// reaches it. It is as much as net/http takes.
const (
	unwantedBytes = 256 << 10
	unwantedTime  = time.Second
)

// farewell ends TLS in order, and then waits for a client that has its last answer to stop sending. The stream is what the
// guard's own is on.
func (g *guard) farewell(stream jackfield.Stream) error {
	if conn, ok := g.Stream.(*tls.Conn); ok {
		if err := conn.CloseWrite(); err != nil {
			return err
		}
	}
	if !g.last.Load() {
		return nil
	}
	if err := stream.CloseWrite(); err != nil {
		return err
	}
	stream.SetReadDeadline(time.Now().Add(unwantedTime))
	io.CopyN(io.Discard, stream, unwantedBytes)
	return nil
}

// A tlsGuard lets net/http see the state of TLS.
type tlsGuard struct{ guard }

// ConnectionState is what net/http looks for.
func (g *tlsGuard) ConnectionState() tls.ConnectionState {
	return g.Stream.(*tls.Conn).ConnectionState()
}

// guardOf returns the guard of a connection, nil for HTTP/2.
func guardOf(conn net.Conn) *guard {
	switch g := conn.(type) {
	case *guard:
		return g
	case *tlsGuard:
		return &g.guard
	}
	return nil
}
