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
	over := h.awaitRequest(c)
	c.accept <- c.conn
	h.server.Serve(c)
	if len(c.accept) > 0 {
		h.serveLate(c)
	}
	<-c.ended
	over()
	if g := guardOf(c.conn); g != nil && (g.lingers.Load() || g.last.Load()) {
		if g.failure == nil && g.lingers.Load() {
			h.refused(ReasonHeader, "a request was refused whose header is too long", "source", c.client.Source)
		}
		c.client.Farewell(func(io.Writer) error { return g.farewell(c.client.Conn) })
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

// awaitRequest gives a connection HeaderTimeout for its first request, until it is over. In HTTP/2 net/http has no limit for
// that. In HTTP/1.1 it has the same one, and may be the first to close.
func (h *Handler) awaitRequest(c *connection) (over func()) {
	began := time.Now()
	timer := time.AfterFunc(h.Limits.HeaderTimeout, func() { h.cutSilent(c) })
	return func() {
		if timer.Stop() && time.Since(began) >= h.Limits.HeaderTimeout {
			h.cutSilent(c)
		}
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
