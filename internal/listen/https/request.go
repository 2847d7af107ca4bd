package https

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"

	"jackfield"
)

// serveRequest is where all requests come from net/http.
func (h *Handler) serveRequest(w http.ResponseWriter, r *http.Request) {
	c := r.Context().Value(connectionKey{}).(*connection)
	c.asked.Store(true)
	c.arrived()
	defer func() {
		if c.taken.Load() {
			c.end()
		}
	}()
	r.RemoteAddr = c.client.Source.String()
	setHeaders(w.Header())
	g := guardOf(c.conn)
	if g == nil {
		h.serveRouted(w, r, c)
		return
	}
	r, body, err := g.follow(r)
	if err != nil {
		h.refused(ReasonFraming, "a request was refused where none may begin", "source", c.client.Source)
		panic(http.ErrAbortHandler) // net/http closes the connection
	}
	h.serveRouted(w, r, c)
	if body.unread() && !c.taken.Load() {
		g.last.Store(true)
	}
}

// serveRouted gives a request to whom it is for.
func (h *Handler) serveRouted(w http.ResponseWriter, r *http.Request, c *connection) {
	if r.ProtoMajor == 1 && len(r.TransferEncoding) > 0 {
		w.Header().Set("Connection", "close") // where chunks end nobody has looked at but net/http
	}
	if r.Method == http.MethodConnect {
		h.connect(w, r, c)
		return
	}
	if h.Web != nil && h.isForProxy(r, c) {
		h.tunnel(h.Web, w, r, c)
		return
	}
	a, ctx := h.answer(w, r)
	defer a.finish()
	r = r.WithContext(ctx)
	r.Body = a.limitBody(r)
	if status, why := h.names.misdirected(r, c.client.Local.Addr()); status != 0 {
		h.refuse(a, r, ReasonTarget, problem{Status: status, Kind: jackfield.Invalid, Detail: why})
		return
	}
	h.call(h.sameOrigin, a, r)
}

// setHeaders sets what holds for every answer, unless its handler says otherwise.
func setHeaders(header http.Header) {
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
}

// connect is for CONNECT, whose answer has no limits here, like that of Web: it may last.
func (h *Handler) connect(w http.ResponseWriter, r *http.Request, c *connection) {
	switch {
	case h.Connect == nil:
		h.refuse(w, r, ReasonTarget, problem{
			Status: http.StatusMethodNotAllowed, Kind: jackfield.Invalid, Detail: "this listener does not offer CONNECT",
		})
	case r.URL.Host == "" || r.URL.Path != "":
		h.refuse(w, r, ReasonTarget, problem{
			Status: http.StatusBadRequest, Kind: jackfield.Invalid, Detail: "CONNECT needs a name and a port as its target",
		})
	default:
		h.tunnel(h.Connect, w, r, c)
	}
}

// tunnel calls a handler that joins the client to a service.
func (h *Handler) tunnel(handler http.Handler, w http.ResponseWriter, r *http.Request, c *connection) {
	c.tunnels.Add(1)
	defer c.leaveTunnel()
	h.call(handler, w, r)
}

// call calls a handler, whose panic is our fault and nobody else's.
func (h *Handler) call(handler http.Handler, w http.ResponseWriter, r *http.Request) {
	defer func() {
		fault := recover()
		if fault == nil {
			return
		}
		if fault != http.ErrAbortHandler {
			id := h.newID()
			if untold, due := h.quiet.Count("panic"); due {
				h.Log.Error("panic while a request was handled", "id", id, "listener", h.Listener.Name, "method", r.Method,
					"path", r.URL.Path, "panic", fmt.Sprint(fault), "stack", string(debug.Stack()), "more_since_last_line", untold)
			}
			if a, ok := w.(*answer); ok && !a.begun {
				p := problem{Status: http.StatusInternalServerError, Kind: jackfield.Internal, Detail: "internal error", ID: id}
				writeProblem(w, p)
				return
			}
		}
		panic(http.ErrAbortHandler) // net/http breaks the answer off and says nothing
	}()
	handler.ServeHTTP(w, r)
}

func (h *Handler) refuseCrossOrigin(w http.ResponseWriter, r *http.Request) {
	h.refuse(w, r, ReasonOrigin, problem{
		Status: http.StatusForbidden, Kind: jackfield.Denied, Detail: "a browser sent this request for another site",
	})
}

// refuse answers a request that no handler sees, after which the connection is closed.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, reason string, p problem) {
	p.ID = h.newID()
	h.refused(reason, "an HTTP request was refused", "id", p.ID, "source", r.RemoteAddr, "method", clip(r.Method),
		"target", clip(r.RequestURI), "host", clip(r.Host), "why", p.Detail)
	w.Header().Set("Connection", "close")
	if p.Status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
	}
	writeProblem(w, p)
}

func (h *Handler) newID() string {
	if h.NewID == nil {
		return ""
	}
	return h.NewID()
}

// clip keeps a hostile request from filling the log.
func clip(s string) slog.Value {
	const enough = 100
	if len(s) > enough {
		s = s[:enough] + "…"
	}
	return slog.StringValue(s)
}
