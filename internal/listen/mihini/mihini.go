// Package mihini is the listener to which devices dial in that speak the Mihini protocol. It serves no clients: a device's
// link goes into the table of links, and services are reached through it from other listeners.
//
// A device is known by its address or, on a listener with TLS, by its certificate. Whoever is not known, or does not begin with
// LISTEN in time, is closed without a word, for the protocol has none.
package mihini

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"time"

	"jackfield"
	"jackfield/internal/gateway"
	"jackfield/internal/link"
	"jackfield/internal/listen"
	"jackfield/wire/mihini"
)

// A Device is who may come by a listener, and how its link is kept.
type Device struct {
	Name    string
	From    []netip.Prefix // nil: from everywhere
	Refuse  bool           // while it has a link, it is refused
	Options mihini.ServerOptions
}

// How many connections of a listener may be without their LISTEN at a time, in all and from one address. More are reset.
const (
	MaxWaiting     = 64
	MaxWaitingEach = 8
)

// deadTime is after how long a device that does not answer any more is given up.
const deadTime = 15 * time.Second

// A Handler serves the links of devices.
type Handler struct {
	Gateway  *gateway.Gateway
	Listener *gateway.Listener
	Devices  *link.Devices
	Known    []Device // without TLS, no address is that of two
	Log      *slog.Logger

	TLS  *tls.Config // it must require client certificates; nil: none
	Peer PeerFunc    // with TLS

	waiting *waiting
}

// A PeerFunc tells the name of the device whose certificate was verified. The context that it makes of ctx ends when the
// certificate becomes void; release is called when it is not needed any more.
type PeerFunc func(ctx context.Context, c *x509.Certificate) (device string, inForce context.Context, release func(), err error)

// New makes a handler ready.
func New(h Handler) *Handler {
	h.waiting = new(waiting)
	return &h
}

var (
	errUnknownDevice = errors.New("no device is configured for this address")
	errNoCertificate = errors.New("it showed no certificate")
	errCrowded       = fmt.Errorf("%d connections, or %d from its address, have not sent LISTEN yet", MaxWaiting, MaxWaitingEach)
)

// Serve implements listen.Handler.
func (h *Handler) Serve(ctx context.Context, c *listen.Client) {
	defer c.Conn.Close()
	visit, err := h.Gateway.Admit(ctx, h.Listener, c.Source, c.Local)
	if err != nil {
		c.Reset()
		return
	}
	defer visit.Leave()
	v, server, err := h.accept(ctx, visit, c)
	switch {
	case ctx.Err() != nil || errors.Is(err, io.EOF):
		return // stopping, or a connection that was opened and closed again
	case err != nil:
		visit.Refuse(err)
		c.Reset()
		return
	}
	defer v.release()
	h.link(v.ctx, visit, c, v.device, server)
}

// accept finds out who it is, and waits for LISTEN.
func (h *Handler) accept(ctx context.Context, visit *gateway.Visit, c *listen.Client) (*visitor, *mihini.Server, error) {
	if h.find(c.Source.Addr()) == nil {
		return nil, nil, unknown(errUnknownDevice)
	}
	leave, entered := h.waiting.enter(c.Source.Addr())
	if !entered {
		return nil, nil, notADevice(errCrowded)
	}
	defer leave()
	if err := mihini.Tune(c.Conn, deadTime); err != nil {
		return nil, nil, notADevice(err)
	}
	v, err := h.identify(ctx, visit, c)
	if err != nil {
		return nil, nil, err
	}
	server, err := h.awaitListen(v)
	if err != nil {
		v.release()
		return nil, nil, notADevice(fmt.Errorf("device %s: %w", v.device.Name, err))
	}
	return v, server, nil
}

func notADevice(why error) error { return jackfield.Refuse(jackfield.Invalid, "not a device", why) }

func unknown(why error) error { return jackfield.Refuse(jackfield.Denied, "unknown device", why) }

func (h *Handler) awaitListen(v *visitor) (*mihini.Server, error) {
	o := v.device.Options
	o.ProtocolError = func(err error) {
		h.Log.Warn("device broke the protocol", "device", v.device.Name, "listener", h.Listener.Name, "error", err)
	}
	return mihini.Accept(v.ctx, v.conn, o)
}

// link serves the device's link until it ends.
func (h *Handler) link(ctx context.Context, visit *gateway.Visit, c *listen.Client, device *Device, server *mihini.Server) {
	closed, err := visit.OpenLink("link " + device.Name)
	if err != nil {
		c.Reset()
		return
	}
	arrival := link.Arrival{
		ID: visit.ID(), Device: device.Name, Listener: h.Listener.Name, Source: c.Source, Refuse: device.Refuse,
	}
	entry, ctx, err := h.Devices.Enter(ctx, arrival, server)
	if err != nil {
		h.Log.Warn("device refused", "id", visit.ID(), "device", device.Name, "source", c.Source, "error", err)
		closed(jackfield.End{Cause: "refused", Details: err.Error()}, jackfield.Transfer{})
		c.Reset()
		return
	}
	h.Log.Info("device connected", "id", visit.ID(), "device", device.Name, "listener", h.Listener.Name, "source", c.Source)
	err = server.Run(ctx)
	why := end(ctx, err)
	entry.Leave()
	h.Log.Info("device gone", "id", visit.ID(), "device", device.Name, "why", join(why.Cause, why.Details))
	closed(why, jackfield.Transfer{}) // its streams have records of their own
}

func join(cause, details string) string {
	if details == "" {
		return cause
	}
	return cause + ": " + details
}

// end is why a link ended, for the audit.
func end(ctx context.Context, err error) jackfield.End {
	switch {
	case context.Cause(ctx) != nil:
		return jackfield.End{Cause: context.Cause(ctx).Error()}
	case errors.Is(err, io.EOF):
		return jackfield.End{Cause: jackfield.EndFinished}
	}
	return jackfield.End{Cause: jackfield.EndClientReset, Details: err.Error()}
}
