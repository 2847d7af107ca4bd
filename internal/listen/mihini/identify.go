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

// identify returns the connection that carries the link, and whose it is.
func (h *Handler) identify(ctx context.Context, visit *gateway.Visit, c *listen.Client) (net.Conn, *Device, error) {
	if h.TLS == nil {
		if device := h.find(c.Source.Addr()); device != nil {
			return c.Conn, device, nil
		}
		return nil, nil, unknown(errUnknownDevice)
	}
	conn, name, err := h.handshake(ctx, c.Conn)
	if err != nil {
		return nil, nil, notADevice(err)
	}
	visit.Identify(jackfield.Identity{Proof: jackfield.ProofCertificate})
	i := slices.IndexFunc(h.Known, func(d Device) bool { return d.Name == name })
	switch {
	case i < 0:
		return nil, nil, unknown(fmt.Errorf("its certificate is that of %q, which may not come by this listener", name))
	case !h.Known[i].comesFrom(c.Source.Addr()):
		return nil, nil, unknown(fmt.Errorf("device %s may not come from this address", name))
	}
	return conn, &h.Known[i], nil
}

// handshakeTimeout is how long a device may take for TLS.
const handshakeTimeout = 10 * time.Second

// handshake returns the name in the certificate of the device.
func (h *Handler) handshake(ctx context.Context, raw net.Conn) (*tls.Conn, string, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	conn := tls.Server(raw, h.TLS)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, "", fmt.Errorf("TLS: %w", err)
	}
	certificates := conn.ConnectionState().PeerCertificates
	if len(certificates) == 0 {
		return nil, "", errNoCertificate
	}
	name, err := h.NameOf(certificates[0])
	return conn, name, err
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
