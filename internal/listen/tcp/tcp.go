// Package tcp is the listener of one port for one service: the client says nothing before the service's own protocol.
//
// The protocol has no words for a refusal, so a refused client's connection is reset; only where a limit is reached and a
// message for that is configured, the client gets the message.
package tcp

import (
	"context"
	"io"

	"jackfield"
	"jackfield/internal/gateway"
	"jackfield/internal/listen"
)

// A Handler gives each client a session with the service.
type Handler struct {
	Gateway  *gateway.Gateway
	Listener *gateway.Listener
	Service  jackfield.Name

	// TellLimited says that a limit's message is configured and goes to the client.
	TellLimited bool

	// CloseWhenDown has a client whose service cannot be reached closed in order, not reset.
	CloseWhenDown bool
}

// Serve implements listen.Handler.
func (h *Handler) Serve(ctx context.Context, c *listen.Client) {
	visit, err := h.Gateway.Admit(ctx, h.Listener, c.Source, c.Local)
	if err != nil {
		h.refuse(c, err)
		return
	}
	defer visit.Leave()
	session, err := visit.Open(string(h.Service), c.Conn)
	if err != nil {
		visit.Leave()
		h.refuse(c, err)
		return
	}
	session.Serve()
}

func (h *Handler) refuse(c *listen.Client, err error) {
	refusal := jackfield.AsError(err)
	if refusal.Kind == jackfield.Limited && h.TellLimited {
		c.Farewell(func(w io.Writer) error {
			_, err := io.WriteString(w, refusal.Message+"\r\n")
			return err
		})
		return
	}
	if refusal.Kind == jackfield.Unavailable && h.CloseWhenDown {
		c.Farewell(func(io.Writer) error { return nil })
		return
	}
	c.Reset()
}
