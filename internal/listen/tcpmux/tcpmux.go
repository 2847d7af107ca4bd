// Package tcpmux is the listener that speaks TCPMUX (RFC 1078): the client names a service and is joined to it.
//
// The answer to a name is "+" once the service's route is open, or "-" with a sentence and the request's short id. "help"
// answers with the names of the services that the client may use.
package tcpmux

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"jackfield"
	"jackfield/internal/gateway"
	"jackfield/internal/listen"
	"jackfield/wire/tcpmux"
)

// A Handler speaks TCPMUX with each client.
type Handler struct {
	Gateway  *gateway.Gateway
	Listener *gateway.Listener

	NameTimeout   time.Duration // for the whole name; 0 means tcpmux.DefaultNameTimeout
	AcceptMessage string        // after the "+"; may be empty
	HelpListsAll  bool          // help lists what is published, not only what the client may use
}

// How long a client may take to accept the few bytes of an answer.
const answerTimeout = 10 * time.Second

// Serve implements listen.Handler.
func (h *Handler) Serve(ctx context.Context, c *listen.Client) {
	visit, err := h.Gateway.Admit(ctx, h.Listener, c.Source, c.Local)
	if err != nil {
		reject(c, err)
		return
	}
	defer visit.Leave() // a refusal has left before: who is being drained takes nobody's place
	name, client, err := h.readName(ctx, c)
	switch {
	case ctx.Err() != nil:
		c.Conn.Close()
	case err != nil:
		h.refuseUnnamed(visit, c, err)
	case tcpmux.Fold(name) == tcpmux.Help:
		h.help(visit, c)
	default:
		h.open(visit, c, name, client)
	}
}

// readName returns the name and the stream that follows it: the bare connection itself wherever the kernel can keep what
// follows the name.
func (h *Handler) readName(ctx context.Context, c *listen.Client) (string, jackfield.Stream, error) {
	stop := context.AfterFunc(ctx, func() { c.Conn.Close() })
	defer stop()
	name, rest, err := tcpmux.ReadName(c.Conn, h.NameTimeout)
	if err != nil {
		return "", nil, err
	}
	return name, rest.(jackfield.Stream), nil // a TCP connection's rest has CloseWrite
}

func (h *Handler) open(visit *gateway.Visit, c *listen.Client, name string, client jackfield.Stream) {
	session, err := visit.Open(name, client)
	if err != nil {
		visit.Leave()
		reject(c, err)
		return
	}
	if !session.Answers() {
		if err := h.accept(c); err != nil {
			session.Abort(err)
			return
		}
	}
	session.Serve()
}

func (h *Handler) accept(c *listen.Client) error {
	c.Conn.SetWriteDeadline(time.Now().Add(answerTimeout))
	defer c.Conn.SetWriteDeadline(time.Time{})
	return tcpmux.WriteAccept(c.Conn, h.AcceptMessage)
}

func (h *Handler) help(visit *gateway.Visit, c *listen.Client) {
	list := visit.Visible
	if h.HelpListsAll {
		list = visit.Published
	}
	var names []string
	for _, name := range list() {
		names = append(names, string(name))
	}
	c.Farewell(func(w io.Writer) error { return tcpmux.WriteHelp(w, names) })
}

// refuseUnnamed answers a client whose name could not be read. One that hung up without a word gets nothing, and is not
// worth a record.
func (h *Handler) refuseUnnamed(visit *gateway.Visit, c *listen.Client, err error) {
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		c.Conn.Close()
		return
	}
	refusal := visit.Refuse(jackfield.Refuse(jackfield.Invalid, complaint(err), err))
	visit.Leave()
	reject(c, refusal)
}

func complaint(err error) string {
	switch {
	case errors.Is(err, tcpmux.ErrTooLong):
		return "service name is too long"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "no service name in time"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "service name without a line end"
	}
	return "service name cannot be read"
}

func reject(c *listen.Client, err error) {
	refusal := jackfield.AsError(err)
	c.Farewell(func(w io.Writer) error { return tcpmux.WriteReject(w, refusal.Message+" ["+refusal.ID+"]") })
}
