package authority

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// ClientConfig returns the configuration of a client that trusts only the authorities in caPEM, believes only a server of that
// name (a DNS name or an address), and speaks TLS 1.3. It shows the certificate in certFile, whose private key is in keyFile; if
// both are empty, none.
func ClientConfig(caPEM []byte, certFile, keyFile, serverName string) (*tls.Config, error) {
	if serverName == "" {
		return nil, errors.New("the name of the server is needed, to know it by its certificate")
	}
	authorities, err := parseCertificates(caPEM)
	if err != nil {
		return nil, fmt.Errorf("the authority's certificates: %w", err)
	}
	if len(authorities) == 0 {
		return nil, errors.New("the authority's certificates: there is none")
	}
	roots := x509.NewCertPool()
	for _, c := range authorities {
		if !c.IsCA {
			return nil, fmt.Errorf("the authority's certificates: that of %s is not one of an authority", c.Subject)
		}
		roots.AddCert(c)
	}
	if (certFile == "") != (keyFile == "") {
		return nil, errors.New("a certificate and its private key are needed, or neither")
	}
	config := &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, ServerName: serverName}
	if certFile == "" {
		return config, nil
	}
	pair, err := loadPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	config.Certificates = []tls.Certificate{*pair}
	return config, nil
}
