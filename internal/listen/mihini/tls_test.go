package mihini

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"jackfield/internal/authority"
)

var errVoid = errors.New("certificate revoked")

// A tlsField is a listener with TLS, and the authority that its devices have their certificates from.
type tlsField struct {
	*field
	authority *authority.Authority
	void      context.CancelCauseFunc // makes every certificate void
}

func openTLS(t *testing.T, known ...Device) *tlsField {
	t.Helper()
	a, err := authority.Open(authority.Options{Dir: filepath.Join(t.TempDir(), "ca"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	own, err := a.ServerCertificate()
	if err != nil {
		t.Fatal(err)
	}
	config, err := a.TLSConfig(authority.Listener{Certificates: []authority.Certificate{own}, Clients: authority.Required})
	if err != nil {
		t.Fatal(err)
	}
	inForce, void := context.WithCancelCause(context.Background())
	t.Cleanup(func() { void(nil) })
	peer := func(ctx context.Context, c *x509.Certificate) (string, context.Context, func(), error) {
		ctx, cancel := context.WithCancelCause(ctx)
		stop := context.AfterFunc(inForce, func() { cancel(context.Cause(inForce)) })
		subject, _, err := authority.ParsePeer(c)
		return subject.Name, ctx, func() { stop(); cancel(nil) }, err
	}
	return &tlsField{openHandler(t, Handler{Known: known, TLS: config, Peer: peer}), a, void}
}

// link dials as the device of that name; without a name, as one that has no certificate. It returns what ends the link.
func (f *tlsField) link(t *testing.T, name string) error {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(f.authority.Bundle())
	config := &tls.Config{RootCAs: roots, ServerName: "localhost"}
	if name != "" {
		config.Certificates = []tls.Certificate{f.certificate(t, name)}
	}
	conn := tls.Client(f.dial(t), config)
	if _, err := conn.Write(listens); err != nil {
		return err
	}
	_, err := conn.Read(make([]byte, 1))
	return err
}

func (f *tlsField) certificate(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request})
	signed, err := f.authority.Sign(text, authority.Subject{Kind: authority.Device, Name: name}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(signed.PEM)
	return tls.Certificate{Certificate: [][]byte{block.Bytes}, PrivateKey: key}
}

// A device is the one in its certificate, wherever it comes from, until the certificate is void.
func TestDeviceWithCertificate(t *testing.T) {
	f := openTLS(t, Device{Name: "other"}, Device{Name: "meter-7"})
	ended := make(chan error, 1)
	go func() { ended <- f.link(t, "meter-7") }()
	eventually(t, "the link", func() bool { return f.devices.Connected("meter-7") })
	if f.devices.Connected("other") {
		t.Error("another device is connected")
	}
	f.void(errVoid)
	if err := <-ended; err == nil {
		t.Error("the link goes on")
	}
	f.expect(t, "open link meter-7", "close link meter-7 certificate revoked")
}

func TestDevicesThatAreNotLetIn(t *testing.T) {
	elsewhere := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	for name, c := range map[string]struct {
		certificate string
		refusal     string
	}{
		"no certificate":     {"", "refuse invalid"},
		"unknown":            {"stranger", "refuse denied"},
		"at a wrong address": {"moved", "refuse denied"},
	} {
		t.Run(name, func(t *testing.T) {
			f := openTLS(t, Device{Name: "meter-7"}, Device{Name: "moved", From: elsewhere})
			if err := f.link(t, c.certificate); err == nil {
				t.Error("it has a link")
			}
			f.expect(t, c.refusal)
		})
	}
}

// Who speaks no TLS is not served, and nobody else is disturbed.
func TestClearTextOnTLS(t *testing.T) {
	f := openTLS(t, Device{Name: "meter-7"})
	conn := f.dial(t)
	conn.Write(listens)
	conn.Write(make([]byte, 100))
	for err := error(nil); err == nil; {
		_, err = conn.Read(make([]byte, 64)) // an alert may come first
	}
	f.expect(t, "refuse invalid")
}
