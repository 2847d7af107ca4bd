//go:build linux

package peer

import (
	"context"
	"fmt"
	"net"
	"slices"

	"jackfield/bench/process"
)

// HAProxyTLS is HAProxy, which ends TLS on its second port.
type HAProxyTLS struct {
	HAProxy
	Certificate *Certificate
}

// Secured implements SecurePeer.
func (h HAProxyTLS) Secured() *Certificate { return h.Certificate }

// Command has clients encrypt with AES-128, as those of Jackfield do.
func (h HAProxyTLS) Command(p Place) (process.Spec, error) {
	pem, err := p.writeSecret("haproxy.pem", slices.Concat(h.Certificate.certificate, h.Certificate.key))
	if err != nil {
		return process.Spec{}, err
	}
	spec, err := h.HAProxy.Command(p)
	if err != nil {
		return spec, err
	}
	return spec, p.append(haproxyConfig, fmt.Sprintf(
		"    bind %s ssl crt %s ssl-min-ver TLSv1.3 ciphersuites TLS_AES_128_GCM_SHA256\n", p.Secure, pem))
}

// Enter does nothing: haproxy asks nobody who they are.
func (HAProxyTLS) Enter(context.Context, Place) (func(net.Conn) error, error) {
	return func(net.Conn) error { return nil }, nil
}
