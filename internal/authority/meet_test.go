package authority

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"jackfield/internal/logtest"
)

const serverName = "jackfield.test"

// A journal is a log that a test reads.
type journal struct{ logtest.Buffer }

func (j *journal) count(what string) int { return strings.Count(j.String(), what) }

func (j *journal) log() *slog.Logger {
	return slog.New(slog.NewTextHandler(j, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func newDir(t testing.TB) string { return filepath.Join(t.TempDir(), "ca") }

// open opens an authority in the directory, which is made if it is not there.
func open(t testing.TB, dir string, options ...func(*Options)) *Authority {
	t.Helper()
	o := Options{Dir: dir, Log: slog.New(slog.DiscardHandler)}
	for _, set := range options {
		set(&o)
	}
	a, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// listen configures a server of the name serverName.
func listen(t testing.TB, a *Authority, l Listener) *tls.Config {
	t.Helper()
	if l.Certificates == nil {
		l.Certificates = []Certificate{issue(t, a, serverName)}
	}
	config, err := a.TLSConfig(l)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func issue(t testing.TB, a *Authority, names ...string) Certificate {
	t.Helper()
	c, err := a.ServerCertificate(names...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// trusting configures a client that trusts a bundle.
func trusting(t testing.TB, bundle []byte) *tls.Config {
	t.Helper()
	config, err := ClientConfig(bundle, "", "", serverName)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// enrol makes a client certificate for the subject, and a client that shows it, whichever authorities the server names.
func enrol(t testing.TB, a *Authority, s Subject, lifetime time.Duration) (*tls.Config, *Signed) {
	t.Helper()
	key := newKey(t)
	signed, err := a.Sign(request(t, key), s, lifetime)
	if err != nil {
		t.Fatal(err)
	}
	config := trusting(t, a.Bundle())
	shown := &tls.Certificate{Certificate: [][]byte{decode(t, signed.PEM).Raw}, PrivateKey: key}
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return shown, nil }
	return config, signed
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func request(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

// decode returns the only certificate in a text.
func decode(t testing.TB, text []byte) *x509.Certificate {
	t.Helper()
	certificates, err := parseCertificates(text)
	if err != nil || len(certificates) != 1 {
		t.Fatalf("%d certificates, %v", len(certificates), err)
	}
	return certificates[0]
}

// A meeting is how a connection went for both ends.
type meeting struct {
	client, server       tls.ConnectionState
	clientErr, serverErr error
}

// meet connects a client and a server in memory. The server says one byte, so that the client learns of a refusal and gets
// its ticket.
func meet(server, client *tls.Config) (m meeting) {
	clientSide, serverSide := pipe()
	var wg sync.WaitGroup
	wg.Go(func() {
		defer serverSide.Close()
		conn := tls.Server(serverSide, server)
		if m.serverErr = conn.Handshake(); m.serverErr == nil {
			_, m.serverErr = conn.Write([]byte("+"))
		}
		m.server = conn.ConnectionState()
	})
	conn := tls.Client(clientSide, client)
	if m.clientErr = conn.Handshake(); m.clientErr == nil {
		_, m.clientErr = io.ReadFull(conn, make([]byte, 1))
	}
	m.client = conn.ConnectionState()
	clientSide.Close()
	wg.Wait()
	return m
}

func (m *meeting) mustSucceed(t testing.TB) {
	t.Helper()
	if m.clientErr != nil || m.serverErr != nil {
		t.Fatalf("client: %v; server: %v", m.clientErr, m.serverErr)
	}
}

// mustFail wants the server to refuse, for a reason with that word in it.
func (m *meeting) mustFail(t testing.TB, word string) {
	t.Helper()
	if m.serverErr == nil || m.clientErr == nil || !strings.Contains(m.serverErr.Error(), word) {
		t.Fatalf("client: %v; server: %v; want %q", m.clientErr, m.serverErr, word)
	}
}

func write(t testing.TB, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
