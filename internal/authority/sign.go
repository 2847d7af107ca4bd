package authority

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"time"
)

// What is accepted of a certificate request.
const (
	MaxRequest = 16 << 10 // bytes, in PEM

	minRSA = 2048 // bits
	maxRSA = 8192 // bits; more would keep the processor busy
)

// Signed is a client certificate.
type Signed struct {
	PEM      []byte // without that of the authority
	Serial   string // 32 hexadecimal digits
	NotAfter time.Time
}

// Sign makes a client certificate for the key in a PKCS #10 request (RFC 2986) in PEM, of at most MaxRequest bytes. What the
// request asks for besides is ignored: the certificate is for the subject. It ends with the authority at the latest.
func (a *Authority) Sign(request []byte, s Subject, lifetime time.Duration) (*Signed, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	if lifetime <= 0 {
		return nil, errors.New("a certificate must have a lifetime")
	}
	public, err := parseRequest(request)
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	now := time.Now()
	certificate, err := a.current.Load().sign(&x509.Certificate{
		Subject:     pkix.Name{CommonName: s.Name},
		URIs:        []*url.URL{s.uri()},
		NotBefore:   now.Add(-backdating),
		NotAfter:    now.Add(lifetime),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, public)
	if err != nil {
		return nil, fmt.Errorf("a certificate for %s: %w", s, err)
	}
	serial, err := formatSerial(certificate.SerialNumber)
	if err != nil {
		return nil, err
	}
	text := new(bytes.Buffer)
	writeCertificate(text, certificate)
	return &Signed{PEM: text.Bytes(), Serial: serial, NotAfter: certificate.NotAfter}, nil
}

// parseRequest returns the public key, whose owner signed the request.
func parseRequest(text []byte) (public any, err error) {
	if len(text) > MaxRequest {
		return nil, fmt.Errorf("it has %d bytes, %d are allowed", len(text), MaxRequest)
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE REQUEST" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New(`one "CERTIFICATE REQUEST" in PEM is expected`)
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, err
	}
	if err := checkKey(request.PublicKey); err != nil {
		return nil, err
	}
	if err := request.CheckSignature(); err != nil {
		return nil, fmt.Errorf("it is not signed with its own key: %w", err)
	}
	return request.PublicKey, nil
}

func checkKey(public any) error {
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P256() || key.Curve == elliptic.P384() {
			return nil
		}
	case ed25519.PublicKey:
		return nil
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); minRSA <= bits && bits <= maxRSA {
			return nil
		}
	}
	return fmt.Errorf("its key is of a kind that is not accepted: take ECDSA on P-256 or P-384, Ed25519, or RSA with %d to %d bits",
		minRSA, maxRSA)
}
