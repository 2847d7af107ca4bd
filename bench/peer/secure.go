//go:build linux

package peer

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"jackfield/bench/backend"
)

// A SecurePeer has a second port, Place.Secure, which leads to the service as Listen does, but with TLS 1.3 and a Certificate.
type SecurePeer interface {
	Peer

	// Secured says who the port's certificate is from.
	Secured() *Certificate

	// Enter returns what a client does, once there is TLS, before the connection is the service's.
	Enter(ctx context.Context, p Place) (func(net.Conn) error, error)
}

// A Certificate is what every peer of a comparison shows, so that all clients have the same to verify: ECDSA with P-256, for
// 127.0.0.1, by itself.
type Certificate struct {
	certificate, key []byte // PEM
	roots            *x509.CertPool
}

// NewCertificate makes one, good for a day.
func NewCertificate() (*Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "bench"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	c := &Certificate{
		certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}),
		key:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}),
		roots:       x509.NewCertPool(),
	}
	c.roots.AppendCertsFromPEM(c.certificate)
	return c, nil
}

// writeSecret puts a file into the place that only its user may read.
func (p Place) writeSecret(name string, text []byte) (string, error) {
	path := filepath.Join(p.Dir, name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return "", err
	}
	if as := p.User.As; as != nil {
		return path, os.Chown(path, int(as.Uid), int(as.Gid))
	}
	return path, nil
}

// A Secure is the way to the service through an instance's port with TLS.
type Secure struct {
	*Instance
	config *tls.Config
	enter  func(net.Conn) error
}

// Secure returns that way. The instance must be of a SecurePeer.
func (i *Instance) Secure(ctx context.Context) (*Secure, error) {
	p, ok := i.peer.(SecurePeer)
	if !ok {
		return nil, fmt.Errorf("%s has no port with TLS", i.peer.Name())
	}
	enter, err := p.Enter(ctx, i.place)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", i.peer.Name(), err)
	}
	return &Secure{Instance: i, enter: enter, config: &tls.Config{
		RootCAs:                     p.Secured().roots,
		ServerName:                  "127.0.0.1",
		MinVersion:                  tls.VersionTLS13,
		CurvePreferences:            []tls.CurveID{tls.X25519}, // which everybody has
		DynamicRecordSizingDisabled: true,
	}}, nil
}

// WithDefaultCurves returns the way of clients that offer the key exchanges that Go offers.
func (s *Secure) WithDefaultCurves() *Secure {
	c := *s
	c.config = s.config.Clone()
	c.config.CurvePreferences = nil
	return &c
}

// Resuming returns the way of clients that have been here before: every handshake resumes a session (RFC 8446, section 2.2).
func (s *Secure) Resuming(ctx context.Context) (*Resuming, error) {
	c := *s
	c.config = s.config.Clone()
	c.config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	return &Resuming{&c}, c.Open(ctx)
}

// A Resuming is a way whose clients have a ticket.
type Resuming struct{ *Secure }

// Dial fails if the server wants a whole handshake.
func (r *Resuming) Dial(ctx context.Context) (*tls.Conn, error) {
	conn, err := r.Secure.Dial(ctx)
	if err == nil && !conn.ConnectionState().DidResume {
		conn.Close()
		return nil, errors.New("the session was not resumed")
	}
	return conn, err
}

// Dial opens a connection to the service. It has the deadline of ctx.
func (s *Secure) Dial(ctx context.Context) (*tls.Conn, error) {
	plain, err := dial(ctx, s.place.Secure)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(plain, s.config)
	err = conn.Handshake()
	if err == nil {
		err = s.enter(conn)
	}
	if err != nil {
		plain.Close()
		return nil, err
	}
	return conn, nil
}

// Open opens a connection, takes one byte there and back, and closes it.
func (s *Secure) Open(ctx context.Context) error {
	c, err := s.Dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	return backend.Echo(c)
}
