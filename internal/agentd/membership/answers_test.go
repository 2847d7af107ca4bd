package membership_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"jackfield/internal/agentd/membership"
	"jackfield/internal/api"
	"jackfield/internal/authority"
)

func pemOf(t *testing.T, m *membership.Membership) string {
	t.Helper()
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m.Certificate().Leaf.Raw}))
}

func newRequest(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request})
}

func deviceOf(t *testing.T, f *fake) string {
	t.Helper()
	signed, err := f.authority.Sign(newRequest(t), authority.Subject{Kind: authority.Device, Name: "edge-7"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return string(signed.PEM)
}

// replaceAuthority answers as a server whose certificate was stolen would: with an authority of its own.
func replaceAuthority(t *testing.T, f *fake, a *api.AgentMembership) {
	t.Helper()
	own, err := authority.Open(authority.Options{Dir: filepath.Join(t.TempDir(), "own"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	signed, err := own.Sign(f.request, authority.Subject{Kind: authority.Agent, Name: "edge-7"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	a.Certificate, a.Authorities = string(signed.PEM), string(own.Bundle())
}
