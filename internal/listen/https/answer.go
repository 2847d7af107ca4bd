package https

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// An answer holds a client to taking it in time, and a stream to ending with its configuration.
type answer struct {
	http.ResponseWriter
	control *http.ResponseController // of the writer below
	limits  Limits

	body     *followedBody // of the request; nil if there is none, or with HTTP/2
	begun    bool
	handlers bool // the handler sets the deadline for writing itself

	retired context.Context
	cancel  context.CancelCauseFunc // of the handler's context
	unwatch func() bool             // of an event stream
}

// answer begins the answer to a request, and the context that the handler gets.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request) (*answer, context.Context) {
	ctx, cancel := context.WithCancelCause(r.Context())
	body, _ := r.Body.(*followedBody)
	return &answer{
		body:           body,
		ResponseWriter: w, control: http.NewResponseController(w), limits: h.Limits,
		retired: h.retired, cancel: cancel,
	}, ctx
}

func (a *answer) begin() {
	if a.begun {
		return
	}
	a.begun = true
	a.extend()
	if a.body.unread() {
		a.Header().Set("Connection", "close") // see followedBody
	}
	if isEventStream(a.Header()) {
		a.unwatch = context.AfterFunc(a.retired, func() { a.cancel(ErrRetired) })
	}
}

func isEventStream(header http.Header) bool {
	kind, _, _ := strings.Cut(header.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(kind), "text/event-stream")
}

func (a *answer) extend() {
	if !a.handlers {
		a.control.SetWriteDeadline(time.Now().Add(a.limits.AnswerTimeout))
	}
}

// finish is called when the handler has returned; net/http writes what is left.
func (a *answer) finish() {
	a.begin()
	a.extend()
	if a.unwatch != nil {
		a.unwatch()
	}
	a.cancel(nil)
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if status >= http.StatusOK {
		a.begin()
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	a.begin()
	return a.ResponseWriter.Write(p)
}

// Flush implements http.Flusher.
func (a *answer) Flush() { a.FlushError() }

// FlushError is what http.ResponseController looks for.
func (a *answer) FlushError() error {
	a.begin()
	a.extend()
	return a.control.Flush()
}

// SetWriteDeadline is what http.ResponseController looks for. From here on the deadline is the handler's.
func (a *answer) SetWriteDeadline(t time.Time) error {
	a.handlers = true
	return a.control.SetWriteDeadline(t)
}

// Unwrap is what http.ResponseController looks for.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// limitBody has a request's body come in time.
func (a *answer) limitBody(r *http.Request) io.ReadCloser {
	if r.ContentLength == 0 || r.Body == nil || r.Body == http.NoBody {
		return r.Body
	}
	a.control.SetReadDeadline(time.Now().Add(a.limits.BodyTimeout))
	return &timedBody{r.Body, sync.OnceFunc(func() { a.control.SetReadDeadline(time.Time{}) })}
}

// A timedBody takes the deadline away at its end: net/http goes on reading, to see whether the client is still there.
type timedBody struct {
	io.ReadCloser
	over func()
}

func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.over()
	}
	return n, err
}
