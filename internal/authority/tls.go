package authority

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// ClientCertificates says what a listener does about certificates of clients.
type ClientCertificates string

// What a listener may do.
const (
	Off      ClientCertificates = "off"      // none is asked for; so is the zero value
	Optional ClientCertificates = "optional" // who has one may show it, and then it must be good
	Required ClientCertificates = "required"
)

// NativePrefix begins the names of Jackfield's own protocols (ALPN, RFC 7301). They always require a client certificate.
const NativePrefix = "jackfield-"

// A Listener is how a listener speaks TLS.
type Listener struct {
	// Certificates are chosen from by the name that the client asks for (SNI). Who asks for none, or for one that none has,
	// gets the first, as does who connects to an address.
	Certificates []Certificate

	Clients   ClientCertificates // of protocols other than the native ones, and of who names no protocol
	Protocols []string           // ALPN, the best one first; nil: it is not negotiated
	TLS12     bool               // TLS 1.2 is good enough
}

// TLSConfig returns the configuration of a server. Tickets to resume a session are the configuration's own: those of another
// listener, or from before a reload, are not accepted.
func (a *Authority) TLSConfig(l Listener) (*tls.Config, error) {
	if len(l.Certificates) == 0 {
		return nil, errors.New("a TLS listener needs a certificate")
	}
	if !slices.Contains([]ClientCertificates{"", Off, Optional, Required}, l.Clients) {
		return nil, fmt.Errorf("a listener's client certificates are off, optional or required, not %q", string(l.Clients))
	}
	l.Certificates, l.Protocols = slices.Clone(l.Certificates), slices.Clone(l.Protocols)
	base := &tls.Config{
		MinVersion:       tls.VersionTLS13,
		NextProtos:       l.Protocols,
		GetCertificate:   l.certificate,
		VerifyConnection: a.verify,

		DynamicRecordSizingDisabled: true, // large records from the first byte
	}
	if l.TLS12 {
		base.MinVersion = tls.VersionTLS12
	}
	config, each := base.Clone(), &variants{base: base, listener: l}
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		return each.of(l.protocol(hello.SupportedProtos), a.current.Load().trusted(time.Now())), nil
	}
	return config, nil
}

// variants are the configurations of a listener for what may be negotiated, shared by its connections. They have no ticket keys,
// therefore those of the listener's configuration are used.
type variants struct {
	base     *tls.Config
	listener Listener

	mu    sync.Mutex
	trust *x509.CertPool         // of those made so far
	made  map[string]*tls.Config // by protocol
}

// of returns the one for a protocol, empty: none is negotiated.
func (v *variants) of(protocol string, trust *x509.CertPool) *tls.Config {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.trust != trust {
		v.trust, v.made = trust, make(map[string]*tls.Config)
	}
	c := v.made[protocol]
	if c == nil {
		c = v.base.Clone()
		c.ClientAuth, c.ClientCAs = v.listener.clientAuth(protocol), trust
		if protocol != "" {
			c.NextProtos = []string{protocol} // so that no other one can be negotiated
		}
		v.made[protocol] = c
	}
	return c
}

// certificate chooses the first that has the name which the client asks for, if any, and a key that it can verify.
func (l *Listener) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	for _, c := range l.Certificates {
		if shown := c.now(); hello.SupportsCertificate(shown) == nil {
			return shown, nil
		}
	}
	return l.Certificates[0].now(), nil
}

// protocol returns what will be negotiated; empty: none.
func (l *Listener) protocol(offered []string) string {
	for _, protocol := range l.Protocols {
		if slices.Contains(offered, protocol) {
			return protocol
		}
	}
	return ""
}

func (l *Listener) clientAuth(protocol string) tls.ClientAuthType {
	switch {
	case isNative(protocol) || l.Clients == Required:
		return tls.RequireAndVerifyClientCert
	case l.Clients == Optional:
		return tls.VerifyClientCertIfGiven
	}
	return tls.NoClientCert
}

func isNative(protocol string) bool { return strings.HasPrefix(protocol, NativePrefix) }

// verify ends every handshake, also one that resumes a session: then nobody else has looked at the certificate, and since the
// session began it may have been revoked, or its authority retired.
func (a *Authority) verify(c tls.ConnectionState) error {
	if len(c.PeerCertificates) == 0 {
		if isNative(c.NegotiatedProtocol) {
			return fmt.Errorf("%s needs a client certificate", c.NegotiatedProtocol)
		}
		return nil
	}
	certificate := c.PeerCertificates[0]
	if c.DidResume {
		now := time.Now()
		if err := a.chains.verify(certificate, a.current.Load().trusted(now), now); err != nil {
			return err
		}
	}
	subject, serial, err := ParsePeer(certificate)
	if err != nil {
		return err
	}
	if a.revoked != nil && a.revoked(subject, serial) {
		return fmt.Errorf("certificate %s of %s is revoked", serial, subject)
	}
	return nil
}
