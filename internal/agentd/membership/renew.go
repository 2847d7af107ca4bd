package membership

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"path/filepath"

	"jackfield/internal/privatefile"
)

// Request makes a certificate request for the agent's key: PKCS #10 (RFC 2986) in PEM.
func (m *Membership) Request() ([]byte, error) {
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, m.key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request}), nil
}

// Save keeps a certificate that was signed for Request, and the authorities that the server has now, all in PEM. After an error the
// ones from before are in force.
func (m *Membership) Save(certificate, authorities []byte) error {
	c, err := m.check(certificate, authorities)
	if err != nil {
		return err
	}
	if err := m.writeCredentials(certificate, authorities); err != nil {
		return err
	}
	m.current.Store(c)
	return nil
}

// writeCredentials writes the authorities first: while one replaces another, they are both among them, so that either certificate
// is good with these.
func (m *Membership) writeCredentials(certificate, authorities []byte) error {
	if err := privatefile.Replace(filepath.Join(m.dir, authoritiesFile), authorities); err != nil {
		return err
	}
	return privatefile.Replace(filepath.Join(m.dir, certificateFile), certificate)
}
