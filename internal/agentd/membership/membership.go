// Package membership is what makes an agent known to its server, and the server to it: a directory with the agent's private key,
// its certificate and the authorities of its server.
//
//	m, err := membership.Join(ctx, membership.Invitation{Server: "https://jackfield.example.org", Token: token, Dir: dir}) // once
//	m, err = membership.Load(dir)                                                                                          // later
//	conn, err := tls.Dial("tcp", m.Address(), m.TLS("jackfield-agent/1"))
//
//	if m.NeedsRenewal(time.Now()) || m.Rotated(conn.ConnectionState()) {
//		request, err := m.Request()
//		…                                        // the server signs it
//		err = m.Save(certificate, authorities)
//	}
//
// Rules:
//   - The key is made on the machine, never leaves it, and stays the same until the machine joins anew.
//   - At the first contact, the server is known by the fingerprint in the token; from then on by the authorities that are kept. A
//     server whose certificate is of a public authority is known by that, each time.
//   - Files are replaced in one step, and are for their owner alone. What was half written counts as not joined.
//   - The clock decides over nothing but when to renew; where it keeps the server from being known, the error tells both clocks.
//
// It keeps no connection, and does not renew by itself.
package membership

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"jackfield/internal/authority"
)

// The files in the directory.
const (
	keyFile         = "agent.key" // PKCS #8 in PEM
	certificateFile = "agent.crt"
	authoritiesFile = "ca.pem"
	agentFile       = "agent.json" // is written last: without it, nobody has joined
)

// ErrNone says that the machine has not joined a server.
var ErrNone = errors.New("this machine has not joined a server")

// A Membership is an agent's. It may be used by many goroutines at once.
type Membership struct {
	dir     string
	about   about
	base    *url.URL
	key     crypto.Signer
	current atomic.Pointer[credentials]
}

// about is what stands in agentFile.
type about struct {
	Server string `json:"server"` // URL
	Name   string `json:"name"`   // of the agent, when it joined; the server's hello tells what it is now

	// SystemAuthorities says that the server is known by the system's authorities, not by those in authoritiesFile.
	SystemAuthorities bool `json:"system_authorities,omitempty"`
}

// credentials are what a renewal replaces.
type credentials struct {
	certificate *tls.Certificate
	roots       *x509.CertPool // nil: the system's
}

// Load returns the membership that is kept in the directory. The error may be ErrNone.
func Load(dir string) (*Membership, error) {
	m, err := load(dir)
	switch {
	case errors.Is(err, ErrNone):
		return nil, fmt.Errorf("%w: there is no %s (jackfield agent join)", err, filepath.Join(dir, agentFile))
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%w: run this as the user who has joined, or name another directory", err)
	case err != nil:
		return nil, fmt.Errorf("%w: enrol the agent again, and join with --again", err)
	}
	return m, nil
}

func load(dir string) (*Membership, error) {
	m := &Membership{dir: dir}
	text, err := readPrivate(filepath.Join(dir, agentFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, ErrNone
	case err != nil:
		return nil, err
	}
	if err := json.Unmarshal(text, &m.about); err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", filepath.Join(dir, agentFile), err)
	}
	if m.base, err = parseServer(m.about.Server); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, agentFile), err)
	}
	if m.key, err = readKey(filepath.Join(dir, keyFile)); err != nil {
		return nil, err
	}
	certificate, err := readPrivate(filepath.Join(dir, certificateFile))
	if err != nil {
		return nil, err
	}
	authorities, err := readPrivate(filepath.Join(dir, authoritiesFile))
	if err != nil {
		return nil, err
	}
	c, err := m.check(certificate, authorities)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	m.current.Store(c)
	return m, nil
}

func readKey(path string) (crypto.Signer, error) {
	text, err := readPrivate(path)
	if err != nil {
		return nil, err
	}
	if block, _ := pem.Decode(text); block != nil {
		if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			if signer, is := key.(crypto.Signer); is {
				return signer, nil
			}
		}
	}
	return nil, fmt.Errorf("%s holds no private key", path) // without the cause, which may quote it
}

// check says whether a certificate, in PEM, is this agent's, by one of the authorities. It does not look at the clock.
func (m *Membership) check(certificate, authorities []byte) (*credentials, error) {
	leaf, err := parseCertificate(certificate)
	if err != nil {
		return nil, fmt.Errorf("the agent's certificate: %w", err)
	}
	subject, _, err := authority.ParsePeer(leaf)
	switch {
	case err != nil:
		return nil, err
	case subject.Kind != authority.Agent:
		return nil, fmt.Errorf("the certificate is that of the %s, not of an agent", subject)
	}
	if public, is := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !is || !public.Equal(m.key.Public()) {
		return nil, errors.New("the certificate is not for the agent's private key")
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authorities) {
		return nil, errors.New("there are no certificates of authorities")
	}
	_, err = leaf.Verify(x509.VerifyOptions{
		Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, CurrentTime: leaf.NotBefore,
	})
	if err != nil {
		return nil, fmt.Errorf("the agent's certificate: %w", err)
	}
	c := &credentials{
		certificate: &tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: m.key, Leaf: leaf},
		roots:       roots,
	}
	if m.about.SystemAuthorities {
		c.roots = nil
	}
	return c, nil
}

func parseCertificate(text []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("there is none in PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}

// Name is the agent's, as it was when it got its certificate.
func (m *Membership) Name() string {
	subject, _, _ := authority.ParsePeer(m.Certificate().Leaf) // was checked
	return subject.Name
}

// Server is the URL of the server, such as "https://jackfield.example.org".
func (m *Membership) Server() string { return m.about.Server }

// Address is where to connect to: host and port of the server.
func (m *Membership) Address() string {
	port := m.base.Port()
	if port == "" {
		port = "443"
	}
	return net.JoinHostPort(m.base.Hostname(), port)
}

// Certificate is the present one, with its Leaf.
func (m *Membership) Certificate() *tls.Certificate { return m.current.Load().certificate }

// Roots are the authorities that the server is known by; nil: the system's.
func (m *Membership) Roots() *x509.CertPool { return m.current.Load().roots }

// TLS returns the configuration of a connection to the server, which may be changed. It holds the present certificate: after
// Save, another one is needed.
func (m *Membership) TLS(protocol string) *tls.Config {
	c := m.current.Load()
	return &tls.Config{
		MinVersion: tls.VersionTLS13, ServerName: m.base.Hostname(), RootCAs: c.roots, NextProtos: []string{protocol},
		Certificates: []tls.Certificate{*c.certificate},
	}
}

// NeedsRenewal says whether two thirds of the certificate's life are over.
func (m *Membership) NeedsRenewal(now time.Time) bool {
	leaf := m.Certificate().Leaf
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	return !now.Before(leaf.NotBefore.Add(life * 2 / 3))
}

// Rotated says whether a connection shows that the server has a new authority, for which the one that is kept vouches. Then a
// renewal is due: what the old one has signed will soon be void.
func (m *Membership) Rotated(c tls.ConnectionState) bool {
	direct := func(chain []*x509.Certificate) bool { return len(chain) <= 2 }
	return m.Roots() != nil && len(c.VerifiedChains) > 0 && !slices.ContainsFunc(c.VerifiedChains, direct)
}

// Check says what, by this machine's clock, keeps the certificate from being good; nil if nothing does. It explains why a server
// does not let the agent in.
func (m *Membership) Check(now time.Time) error {
	leaf := m.Certificate().Leaf
	switch {
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("the agent's certificate is good from %s on, and this machine's clock says %s: is it right?",
			leaf.NotBefore.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case now.After(leaf.NotAfter):
		return fmt.Errorf("the agent's certificate was good until %s, and this machine's clock says %s: if that is right, enrol the agent"+
			" again (jackfield agent enroll %s --again)",
			leaf.NotAfter.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339), m.Name())
	}
	return nil
}
