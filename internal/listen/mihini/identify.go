package mihini

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"jackfield"
	"jackfield/internal/gateway"
	"jackfield/internal/listen"
)

// A visitor is a device that has dialled in.
type visitor struct {
	device  *Device
	conn    net.Conn        // carries the link
	ctx     context.Context // ends when what proved who it is does not any more
	release func()          // of ctx
}

// identify finds out who it is.
func (h *Handler) identify(ctx context.Context, visit *gateway.Visit, c *listen.Client) (*visitor, error) {
	if h.TLS != nil {
		return h.identifyByCertificate(ctx, visit, c)
	}
	if device := h.find(c.Source.Addr()); device != nil {
		return &visitor{device, c.Conn, ctx, func() {}}, nil
	}
	return nil, unknown(errUnknownDevice)
}

func (h *Handler) identifyByCertificate(ctx context.Context, visit *gateway.Visit, c *listen.Client) (*visitor, error) {
	conn, err := h.handshake(ctx, c.Conn)
	if err != nil {
		return nil, notADevice(err)
	}
	name, ctx, release, err := h.Peer(ctx, conn.ConnectionState().PeerCertificates[0])
	if err != nil {
		return nil, unknown(err)
	}
	visit.Identify(jackfield.Identity{Proof: jackfield.ProofCertificate})
	i := slices.IndexFunc(h.Known, func(d Device) bool { return d.Name == name })
	switch {
	case i < 0:
		err = fmt.Errorf("its certificate is that of %q, which may not come by this listener", name)
	case !h.Known[i].comesFrom(c.Source.Addr()):
		err = fmt.Errorf("device %s may not come from this address", name)
	default:
		return &visitor{&h.Known[i], conn, ctx, release}, nil
	}
	release()
	return nil, unknown(err)
}

// handshakeTimeout is how long a device may take for TLS.
const handshakeTimeout = 10 * time.Second

// handshake returns a connection whose client has shown a certificate that was verified.
func (h *Handler) handshake(ctx context.Context, raw net.Conn) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	conn := tls.Server(raw, h.TLS)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	if len(conn.ConnectionState().VerifiedChains) == 0 {
		return nil, errNoCertificate
	}
	return conn, nil
}

// find returns the device that is known at an address.
func (h *Handler) find(a netip.Addr) *Device {
	for i := range h.Known {
		if h.Known[i].comesFrom(a) {
			return &h.Known[i]
		}
	}
	return nil
}

func (d *Device) comesFrom(a netip.Addr) bool {
	return d.From == nil || slices.ContainsFunc(d.From, func(network netip.Prefix) bool { return network.Contains(a.WithZone("")) })
}
