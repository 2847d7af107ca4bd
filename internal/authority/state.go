package authority

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"
	"time"

	"jackfield/internal/privatefile"
)

// What stands in PEM (RFC 7468).
const (
	typeKey         = "PRIVATE KEY"
	typeCertificate = "CERTIFICATE"
)

// A state is what an authority consists of. It never changes; a rotation makes another one.
type state struct {
	key  *ecdsa.PrivateKey
	root *x509.Certificate // the key's, signed with itself

	// While an old authority is accepted; else nil. The overlap ends when cross does.
	cross *x509.Certificate // the key's, signed by the old authority
	old   *x509.Certificate

	// What follows from these.
	alone *x509.CertPool // root
	both  *x509.CertPool // root and old; nil without
	text  []byte         // of the file
}

// newState makes an authority. A clock that was never set is refused: the authority would end in the year 1980.
func newState(now time.Time) (*state, error) {
	if now.Year() < 2000 {
		return nil, fmt.Errorf("the clock says %s: set it, and start again", now.Format(time.DateOnly))
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := authorityTemplate(now)
	// Named at random, so that an old and a new one are never taken for each other.
	template.Subject.CommonName = "Jackfield authority " + strings.ToLower(rand.Text()[:8])
	template.NotAfter = now.AddDate(authorityYears, 0, 0)
	template.MaxPathLen = 1 // the next authority, in the certificate that this one signs for it
	root, err := create(template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return completed(state{key: key, root: root})
}

// rotate makes the authority that follows this one. One that has ended itself is not accepted any longer.
func (s *state) rotate(now time.Time, overlap time.Duration) (*state, error) {
	next, err := newState(now)
	if err != nil || !now.Before(s.root.NotAfter) {
		return next, err
	}
	template := authorityTemplate(now)
	template.Subject = next.root.Subject
	template.NotAfter = earlier(now.Add(overlap), s.root.NotAfter)
	template.MaxPathLenZero = true
	cross, err := create(template, s.root, next.key.Public(), s.key)
	if err != nil {
		return nil, err
	}
	return completed(state{key: next.key, root: next.root, cross: cross, old: s.root})
}

func authorityTemplate(now time.Time) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber:          newSerial(),
		NotBefore:             now.Add(-backdating),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
}

func create(template, parent *x509.Certificate, public any, signer *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// sign makes a certificate of this authority, which ends no later than the authority does.
func (s *state) sign(template *x509.Certificate, public any) (*x509.Certificate, error) {
	template.SerialNumber = newSerial()
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.BasicConstraintsValid = true
	template.NotAfter = earlier(template.NotAfter, s.root.NotAfter)
	return create(template, s.root, public, s.key)
}

// newSerial returns a random number of 128 bits.
func newSerial() *big.Int {
	var serial [16]byte
	rand.Read(serial[:])
	return new(big.Int).SetBytes(serial[:])
}

// completed fills in what follows from the key and the certificates.
func completed(s state) (*state, error) {
	key, err := x509.MarshalPKCS8PrivateKey(s.key)
	if err != nil {
		return nil, err
	}
	text := new(bytes.Buffer)
	pem.Encode(text, &pem.Block{Type: typeKey, Bytes: key})
	writeCertificate(text, s.root)
	s.alone = x509.NewCertPool()
	s.alone.AddCert(s.root)
	if s.old != nil {
		writeCertificate(text, s.cross)
		writeCertificate(text, s.old)
		s.both = s.alone.Clone()
		s.both.AddCert(s.old)
	}
	s.text = text.Bytes()
	return &s, nil
}

// overlaps says whether an old authority is accepted.
func (s *state) overlaps(now time.Time) bool { return s.cross != nil && now.Before(s.cross.NotAfter) }

// trusted returns the authorities whose client certificates are accepted.
func (s *state) trusted(now time.Time) *x509.CertPool {
	if s.overlaps(now) {
		return s.both
	}
	return s.alone
}

func writeCertificate(w io.Writer, c *x509.Certificate) {
	pem.Encode(w, &pem.Block{Type: typeCertificate, Bytes: c.Raw})
}

// parseState reads the text of a state, and believes none of it. An old authority whose time is over is left out.
func parseState(text []byte, now time.Time) (*state, error) {
	if len(text) > privatefile.MaxSize {
		return nil, fmt.Errorf("it has more than %d bytes", privatefile.MaxSize)
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != typeKey {
		return nil, errors.New("it is damaged: it does not begin with a private key")
	}
	key, err := parseKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("it is damaged: %w", err)
	}
	certificates, err := parseCertificates(rest)
	if err != nil {
		return nil, fmt.Errorf("it is damaged: %w", err)
	}
	s := state{key: key}
	switch len(certificates) {
	case 1:
		s.root = certificates[0]
	case 3:
		s.root, s.cross, s.old = certificates[0], certificates[1], certificates[2]
	default:
		return nil, fmt.Errorf("it is damaged: it has %d certificates, not 1 or 3", len(certificates))
	}
	if err := s.check(now); err != nil {
		return nil, err
	}
	if !s.overlaps(now) {
		s.cross, s.old = nil, nil
	}
	return completed(s)
}

func parseKey(der []byte) (*ecdsa.PrivateKey, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New("its private key cannot be read") // without err: who knows what it quotes
	}
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok || private.Curve != elliptic.P256() {
		return nil, errors.New("its private key is not one of ECDSA on P-256")
	}
	return private, nil
}

// parseCertificates reads PEM that holds certificates and nothing else.
func parseCertificates(text []byte) ([]*x509.Certificate, error) {
	var certificates []*x509.Certificate
	for len(bytes.TrimSpace(text)) > 0 {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return nil, errors.New("there is something in it that is not PEM")
		}
		if block.Type != typeCertificate {
			return nil, fmt.Errorf("there is a %q where a certificate is expected", block.Type)
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d cannot be read: %w", len(certificates)+1, err)
		}
		certificates = append(certificates, certificate)
	}
	return certificates, nil
}

func (s *state) check(now time.Time) error {
	switch {
	case !s.key.PublicKey.Equal(s.root.PublicKey):
		return errors.New("its private key is not that of its certificate")
	case !isAuthority(s.root):
		return errors.New("its certificate is not that of an authority")
	case now.After(s.root.NotAfter):
		return fmt.Errorf("its certificate ended on %s", s.root.NotAfter.Format(time.DateOnly))
	case s.cross == nil:
		return nil
	case !isAuthority(s.old):
		return errors.New("the old authority's certificate is not that of an authority")
	case !s.key.PublicKey.Equal(s.cross.PublicKey), !bytes.Equal(s.cross.RawSubject, s.root.RawSubject),
		s.cross.CheckSignatureFrom(s.old) != nil:
		return errors.New("the old authority did not sign the new one")
	}
	return nil
}

// isAuthority says whether a certificate is one of an authority that signed itself.
func isAuthority(c *x509.Certificate) bool {
	return c.IsCA && bytes.Equal(c.RawSubject, c.RawIssuer) && c.CheckSignatureFrom(c) == nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
