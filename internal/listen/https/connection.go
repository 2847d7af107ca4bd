package https

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"jackfield"
	"jackfield/internal/listen"
	"jackfield/internal/tlsstream"
)

// A connection is a client in the hands of net/http. It is the listener, too, from which net/http accepts just this client:
// so each connection brings its own context along, and net/http's goroutines begin and end with Serve.
type connection struct {
	client  *listen.Client
	conn    net.Conn // what net/http gets: *tls.Conn, *tlsGuard or *guard
	leave   func()   // gives the place back
	arrived func()   // the first request is here

	ctx      context.Context
	accept   chan net.Conn // holds conn until it is accepted
	shut     chan struct{} // closed when net/http accepts no more
	shutOnce sync.Once
	ended    chan struct{} // closed when conn is closed, or who took it over is done
	endOnce  sync.Once

	asked   atomic.Bool  // the first request has come
	taken   atomic.Bool  // over by a handler
	tunnels atomic.Int32 // requests to Connect and Web that run
}

type connectionKey struct{}

// ClientOf returns the client that sent a request, with its true address; nil if the request did not come by this listener.
func ClientOf(r *http.Request) *listen.Client {
	if c, ok := r.Context().Value(connectionKey{}).(*connection); ok {
		return c.client
	}
	return nil
}

// serveHTTP has net/http serve a connection and returns when it has ended. It does so at once when ctx ends, unless it was
// taken over: then that is its new owner's to do.
func (h *Handler) serveHTTP(ctx context.Context, c *connection) {
	c.ctx = context.WithValue(ctx, connectionKey{}, c)
	c.accept = make(chan net.Conn, 1)
	c.shut, c.ended = make(chan struct{}), make(chan struct{})
	if g := guardOf(c.conn); g != nil {
		g.framing.max = h.Limits.HeaderBytes
		g.refused = func(err error) {
			h.refused(ReasonFraming, "an ambiguous HTTP request was refused", "source", c.client.Source, "error", err)
		}
	}
	h.track(c)
	defer h.forget(c)
	stop := context.AfterFunc(ctx, c.cut)
	defer stop()
	first := time.AfterFunc(h.Limits.HeaderTimeout, func() { h.cutSilent(c) }) // net/http has no limit for this in HTTP/2
	defer first.Stop()
	c.accept <- c.conn
	h.server.Serve(c)
	if len(c.accept) > 0 {
		h.serveLate(c)
	}
	<-c.ended
	if g := guardOf(c.conn); g != nil && g.lingers.Load() {
		if g.failure == nil {
			h.refused(ReasonHeader, "a request was refused whose header is too long", "source", c.client.Source)
		}
		c.client.Farewell(g.lastWord)
	}
}

// serveLate serves a connection that came to this generation, but after Close: one request, and no longer than any other of
// the old generation.
func (h *Handler) serveLate(c *connection) {
	server := h.newServer()
	server.SetKeepAlivesEnabled(false)
	grace := time.AfterFunc(h.Limits.Grace, func() { c.cutRequests() })
	defer grace.Stop()
	c.shut, c.shutOnce = make(chan struct{}), sync.Once{}
	server.Serve(c)
	if len(c.accept) > 0 { // net/http has something against this server, not this client
		c.conn.Close()
		c.end()
	}
	<-c.ended
}

func (h *Handler) track(c *connection) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open[c.conn] = c
	if h.Observer != nil {
		h.Observer.ConnectionOpened(h.Listener.Name)
	}
}

func (h *Handler) forget(c *connection) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.open, c.conn)
	if h.Observer != nil {
		h.Observer.ConnectionClosed(h.Listener.Name)
	}
}

// changed is told by net/http how connections fare.
func (h *Handler) changed(conn net.Conn, state http.ConnState) {
	if state != http.StateClosed && state != http.StateHijacked {
		return
	}
	h.mu.Lock()
	c := h.open[conn]
	h.mu.Unlock()
	if state == http.StateClosed {
		c.end()
		return
	}
	c.taken.Store(true)
	c.leave()
}

func (c *connection) end() { c.endOnce.Do(func() { close(c.ended) }) }

// cut is for when the server stops. What runs by CONNECT is told by its own context, which ends with ours, and then closes the
// connection.
func (c *connection) cut() {
	if !c.taken.Load() && c.tunnels.Load() == 0 {
		c.client.Conn.Close()
	}
}

// leaveTunnel is the end of a CONNECT request.
func (c *connection) leaveTunnel() {
	if c.tunnels.Add(-1) == 0 && c.ctx.Err() != nil {
		c.cut()
	}
}

// cutSilent closes a connection that has brought no request yet.
func (h *Handler) cutSilent(c *connection) {
	if !c.asked.Load() {
		c.client.Conn.Close()
		h.refused(ReasonSilence, "a connection was closed that brought no request in time", "source", c.client.Source)
	}
}

// cutRequests closes a connection unless it carries more than requests.
func (c *connection) cutRequests() bool {
	if c.taken.Load() || c.tunnels.Load() > 0 {
		return false
	}
	c.client.Conn.Close()
	return true
}

// Accept implements net.Listener.
func (c *connection) Accept() (net.Conn, error) {
	select {
	case conn := <-c.accept:
		return conn, nil
	case <-c.shut:
	case <-c.ended:
	}
	return nil, net.ErrClosed
}

// Close implements net.Listener: there will be no Accept any more. It does not touch the connection.
func (c *connection) Close() error {
	c.shutOnce.Do(func() { close(c.shut) })
	return nil
}

// Addr implements net.Listener.
func (c *connection) Addr() net.Addr { return c.client.Conn.LocalAddr() }

// Hijack takes the connection of an HTTP/1.1 request over: the bare stream, a *net.TCPConn or *tlsstream.Stream, and what was read
// from it after the request. The caller closes the stream before its handler returns. It has left the listener's place, and
// neither the end of the configuration nor that of Serve's context touches it.
func Hijack(w http.ResponseWriter) (stream jackfield.Stream, read []byte, err error) {
	conn, buffer, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, err
	}
	read = make([]byte, buffer.Reader.Buffered())
	if _, err := io.ReadFull(buffer, read); err != nil {
		conn.Close()
		return nil, nil, err
	}
	guard := guardOf(conn)
	if guard.failure != nil { // what was read as another request is no longer whole
		conn.Close()
		return nil, nil, guard.failure
	}
	stream = guard.Stream
	if conn, ok := stream.(*tls.Conn); ok {
		return tlsstream.Of(conn), read, nil
	}
	return stream, read, nil
}

// A guard stands between an HTTP/1.1 connection and net/http, and ends what cannot be read in one way only.
type guard struct {
	jackfield.Stream
	framing framing
	refused func(error) // is told

	failure error       // once there is one, nothing more is read
	lingers atomic.Bool // Serve says farewell, so that the refusal arrives
}

// Read implements net.Conn. net/http answers its error with 400 and closes the connection.
func (g *guard) Read(p []byte) (int, error) {
	if g.failure != nil {
		return 0, g.failure
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
	if g.lingers.Load() {
		return nil
	}
	return g.Stream.Close()
}

// lastWord ends TLS in order.
func (g *guard) lastWord(io.Writer) error {
	if conn, ok := g.Stream.(*tls.Conn); ok {
		return conn.CloseWrite()
	}
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
