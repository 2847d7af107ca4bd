// Package https is the listener of the protocols "https" and "http": one port for browsers, the API and HTTP CONNECT, and
// with TLS for our own protocols too, which ALPN (RFC 7301) tells apart.
//
//	h := https.New(https.Options{
//		Gateway: g, Listener: l, TLS: config, HTTP: api, Names: []string{"jackfield.example"}, Log: log,
//	})
//	...h is the Handler of a listen.Server...
//	h.Close() // when the next generation has the socket
//
// What happens to a connection, in this order: the address is screened, before a byte is read; it takes a place of the
// listener's and its source's; TLS is set up; and the protocol that was negotiated is served. net/http speaks HTTP. What it
// lets pass and others may read differently is refused before it (see framing), and no request reaches Options.HTTP unless it
// names this server (see names), so a page of somebody else, whatever its name resolves to, does not.
//
// The rules for handlers:
//   - Request.RemoteAddr is the client's true address and port, behind a trusted proxy too; ClientOf has all that is known.
//   - An answer must be taken by the client within Limits.AnswerTimeout of its beginning and of each flush, and a request's
//     body come within Limits.BodyTimeout; http.ResponseController changes both.
//   - A request of HTTP/1 whose body a handler has not read to its end is the last one of its connection.
//   - The context of an event stream (Content-Type: text/event-stream) ends when the configuration is replaced, with
//     ErrRetired as its cause: the client comes again, and meets the next one.
//   - A handler that takes a connection over (Hijack) closes it before it returns. It outlives the configuration.
//
// Strict-Transport-Security is never sent. It would hold for the other ports of the same host as well, and it takes away
// the choice to accept a certificate of our own authority, which browsers do not know.
//
// A Connector is the handler of CONNECT, which joins clients to services; a WebProxy that of requests as to a proxy.
//
// It has no HTTP/2 without TLS and no HTTP/3. Who clients are, it asks a Callers.
package https

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"jackfield"
	"jackfield/internal/gateway"
	"jackfield/internal/listen"
	"jackfield/internal/quiet"
)

// A Screener decides by a client's address alone; *gateway.Gateway is one. A refusal has been logged and recorded.
type Screener interface {
	Screen(ctx context.Context, l *gateway.Listener, source, local netip.AddrPort) error
}

// An Observer counts for the metrics. Reasons are the Reason constants.
type Observer interface {
	ConnectionOpened(listener string)
	ConnectionClosed(listener string)
	ConnectionRefused(listener, reason string) // or a request of it
}

// Options say what a listener does. What is not said to be optional is required.
type Options struct {
	Gateway  Screener
	Listener *gateway.Listener

	// TLS has the certificate; nil for protocol "http". Where it has no NextProtos they are set. The same is true of what
	// GetConfigForClient returns: Protocols has the list. Tickets are good across generations if SetSessionTicketKeys was
	// called, and otherwise within one.
	TLS *tls.Config

	// ALPN has who speaks the protocols that are not HTTP. The function owns the connection, whose handshake is done, and
	// closes it before it returns; the places of this listener are not its own any more.
	ALPN map[string]func(context.Context, *tls.Conn, *listen.Client)

	HTTP    http.Handler
	Connect http.Handler // of requests with method CONNECT and a target in authority-form (RFC 9112, section 3.2.3); may be nil
	Web     http.Handler // of requests to a proxy; nil: they are refused

	// Names are the hosts that are ours, names or addresses. The address that a client has connected to always is, and
	// "localhost" on a loopback connection.
	Names []string

	Places   *Places       // what generations have in common; nil: places of its own
	Limits   Limits        // zero values mean the defaults
	Observer Observer      // may be nil
	NewID    func() string // short ids for the refusals made here; nil: they have none
	Log      *slog.Logger
}

// ErrRetired ends the streams of a configuration that is not at work any more.
var ErrRetired = errors.New("the configuration was replaced: come again")

// A Handler serves the connections of one listener in one generation of the configuration.
type Handler struct {
	Options
	tls        *tls.Config
	names      names
	server     *http.Server
	sameOrigin http.Handler // Options.HTTP, for requests that no browser sends for another site
	quiet      *quiet.Log

	retired context.Context // ends when Close begins
	retire  context.CancelCauseFunc
	closing sync.Once

	mu      sync.Mutex               // guards what follows
	open    map[net.Conn]*connection // those that net/http has, by what it was given
	fresh   int                      // connections that have not brought a request yet
	settled chan struct{}            // closed when retired and none of them is left
}

// New makes a handler. It starts nothing.
func New(o Options) *Handler {
	o.Limits = o.Limits.withDefaults()
	if o.Places == nil {
		o.Places = new(Places)
	}
	h := &Handler{
		Options: o,
		tls:     withProtocols(o.TLS, o.ALPN),
		names:   newNames(o.Names),
		quiet:   quiet.New(o.Log.With("listener", o.Listener.Name), 1),
		open:    make(map[net.Conn]*connection),
		settled: make(chan struct{}),
	}
	h.retired, h.retire = context.WithCancelCause(context.Background())
	origins := http.NewCrossOriginProtection()
	origins.SetDenyHandler(http.HandlerFunc(h.refuseCrossOrigin))
	h.sameOrigin = origins.Handler(o.HTTP)
	h.server = h.newServer()
	return h
}

func (h *Handler) newServer() *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(h.tls != nil)
	return &http.Server{
		Handler:           http.HandlerFunc(h.serveRequest),
		BaseContext:       func(l net.Listener) context.Context { return l.(*connection).ctx },
		ConnState:         h.changed,
		ReadHeaderTimeout: h.Limits.HeaderTimeout,
		IdleTimeout:       h.Limits.IdleTimeout,
		MaxHeaderBytes:    h.Limits.HeaderBytes,
		ErrorLog:          slog.NewLogLogger(h.Log.Handler(), slog.LevelDebug), // what clients did wrong
		Protocols:         protocols,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          maxStreams,
			MaxReadFrameSize:              maxFrame,
			MaxReceiveBufferPerConnection: connectionWindow,
			MaxReceiveBufferPerStream:     streamWindow,
			SendPingTimeout:               pingAfter,
			PingTimeout:                   pingTimeout,
			WriteByteTimeout:              h.Limits.AnswerTimeout,
		},
		DisableGeneralOptionsHandler: true, // "OPTIONS *" is checked like all others
	}
}

// Serve implements listen.Handler.
func (h *Handler) Serve(ctx context.Context, c *listen.Client) {
	if err := h.Gateway.Screen(ctx, h.Listener, c.Source, c.Local); err != nil {
		h.turnAway(c, jackfield.AsError(err))
		return
	}
	leave, reason := h.Places.connect(c.Source.Addr(), &h.Limits)
	if reason != "" {
		h.reset(c, reason)
		return
	}
	defer leave()
	arrived := h.arrive()
	defer arrived()
	if h.tls == nil {
		h.serveHTTP(ctx, &connection{client: c, conn: &guard{Stream: c.Conn}, leave: leave, arrived: arrived})
		return
	}
	conn := h.encrypted(ctx, c)
	if conn == nil {
		return
	}
	if speak := h.ALPN[protocolOf(conn)]; speak != nil {
		arrived()
		leave()
		speak(ctx, conn, c)
		return
	}
	h.serveHTTP(ctx, &connection{client: c, conn: h.dress(conn), leave: leave, arrived: arrived})
}

// encrypted is handshake in a goroutine of its own: that takes a deep stack, and ours, which would grow with it, may last for days.
func (h *Handler) encrypted(ctx context.Context, c *listen.Client) *tls.Conn {
	shaken := make(chan *tls.Conn)
	go func() { shaken <- h.handshake(ctx, c) }()
	return <-shaken
}

// dress returns what net/http is given. For HTTP/2 that is the bare connection: it takes no other.
func (h *Handler) dress(conn *tls.Conn) net.Conn {
	if protocolOf(conn) == protocolH2 {
		return conn
	}
	return &tlsGuard{guard{Stream: conn}}
}

// protocolOf returns what was negotiated. The state of a connection is half a kilobyte, for which the stack of who serves it has
// no room.
//
//go:noinline
func protocolOf(conn *tls.Conn) string { return conn.ConnectionState().NegotiatedProtocol }

// turnAway answers a client whose address is refused. Before TLS there are no words for that.
func (h *Handler) turnAway(c *listen.Client, refusal *jackfield.Error) {
	if h.tls != nil {
		c.Reset()
		return
	}
	status := http.StatusForbidden
	if refusal.Kind != jackfield.Denied {
		status = http.StatusServiceUnavailable
	}
	answer := wholeAnswer(problem{Status: status, Kind: refusal.Kind, Detail: refusal.Message, ID: refusal.ID}, make(http.Header))
	c.Farewell(func(w io.Writer) error { _, err := w.Write(answer); return err })
}

// reset ends a connection for which there is no place.
func (h *Handler) reset(c *listen.Client, reason string) {
	c.Reset()
	h.refused(reason, "connections are reset: the listener has no room for them", "source", c.Source)
}

// refused counts, and logs once in a while.
func (h *Handler) refused(reason, message string, attrs ...any) {
	if h.Observer != nil {
		h.Observer.ConnectionRefused(h.Listener.Name, reason)
	}
	h.quiet.Note(slog.LevelInfo, reason, message, attrs...)
}

// arrive counts a connection that has not brought a request yet, until arrived is called.
func (h *Handler) arrive() (arrived func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fresh++
	return sync.OnceFunc(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.fresh--
		if h.fresh == 0 && h.retired.Err() != nil {
			h.settle()
		}
	})
}

// settle is called with the lock held.
func (h *Handler) settle() {
	select {
	case <-h.settled:
	default:
		close(h.settled)
	}
}

// Close retires the handler: another one has its socket, or the socket is closed. Event streams end now, idle connections
// are closed, requests that run may go on for Limits.Grace, and what is open by CONNECT goes on. It returns when net/http
// has none left, which may take as long as a session, and is to be called even if nothing was ever served.
//
// A client accepted just before is still served: it has SettleTimeout to bring its first request.
func (h *Handler) Close() { h.closing.Do(h.close) }

func (h *Handler) close() {
	h.mu.Lock()
	h.retire(ErrRetired)
	if h.fresh == 0 {
		h.settle()
	}
	h.mu.Unlock()
	h.server.SetKeepAlivesEnabled(false)
	select {
	case <-h.settled:
	case <-time.After(SettleTimeout):
	}
	grace := time.AfterFunc(h.Limits.Grace, h.cutRequests)
	defer grace.Stop()
	h.server.Shutdown(context.Background())
}

// cutRequests ends what has had its time.
func (h *Handler) cutRequests() {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, c := range h.open {
		if c.cutRequests() {
			n++
		}
	}
	if n > 0 {
		h.Log.Warn("requests that an earlier configuration served were cut", "listener", h.Listener.Name, "connections", n)
	}
}
