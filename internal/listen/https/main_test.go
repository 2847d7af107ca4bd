package https

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"

	"jackfield/internal/gateway"
	"jackfield/internal/listen"
	"jackfield/internal/logtest"
	"jackfield/internal/quiet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A host is a running listener of a test.
type host struct {
	*Handler
	t       *testing.T
	address string
	sockets *listen.Sockets
	server  *listen.Server
	stop    context.CancelFunc
	log     *logtest.Buffer
	roots   *x509.CertPool
}

const hostName = "jackfield.test"

// start runs a listener of protocol https, or http if plain, until the test ends.
func start(t *testing.T, plain bool, change func(*Options)) *host {
	t.Helper()
	h := &host{t: t, log: new(logtest.Buffer)}
	o := Options{
		Gateway:  screenFunc(func() error { return nil }),
		Listener: &gateway.Listener{Name: "test"},
		HTTP:     http.HandlerFunc(hello),
		Names:    []string{hostName},
		Log:      slog.New(slog.NewTextHandler(h.log, nil)),
	}
	if !plain {
		o.TLS, h.roots = newCertificate(t)
	}
	if change != nil {
		change(&o)
	}
	h.Handler = New(o)
	h.server = &listen.Server{Name: "test", Address: "127.0.0.1:0", Handler: h.Handler, Log: o.Log}
	ctx, stop := context.WithCancel(context.Background())
	h.stop = stop
	h.sockets = listen.NewSockets(ctx)
	t.Cleanup(func() { h.sockets.StopAccepting(); stop(); h.sockets.Wait(); h.Handler.Close() })
	if err := h.sockets.Swap([]*listen.Server{h.server}); err != nil {
		t.Fatal(err)
	}
	h.address = h.sockets.Addr(h.server).String()
	return h
}

func hello(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	io.WriteString(w, r.Proto+" "+r.Host+" "+r.URL.Path)
}

type screenFunc func() error

func (f screenFunc) Screen(context.Context, *gateway.Listener, netip.AddrPort, netip.AddrPort) error {
	return f()
}

func newCertificate(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: hostName}, DNSNames: []string{hostName, "localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(certificate)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, roots
}

// pem is the certificate.
func (h *host) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.TLS.Certificates[0].Certificate[0]})
}

// url is where a path of the listener is.
func (h *host) url(path string) string {
	scheme := "https"
	if h.roots == nil {
		scheme = "http"
	}
	return scheme + "://" + h.address + path
}

// client is an HTTP client that speaks HTTP/2, or 1.1 only.
func (h *host) client(h2 bool) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!h2)
	protocols.SetHTTP2(h2)
	transport := &http.Transport{Protocols: protocols, TLSClientConfig: &tls.Config{RootCAs: h.roots}}
	h.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// onOne returns what sends requests by one connection and no other, to us or as to a proxy. With HTTP/1.1 net/http's client may take
// another: where it does not see soon enough that it has written its request, it does not keep the connection.
func (h *host) onOne(client *http.Client, h2 bool, write func(*http.Request, io.Writer) error) func(*http.Request) (*http.Response, error) {
	if h2 {
		return client.Do
	}
	conn := h.dialHTTP()
	reader := bufio.NewReader(conn)
	return func(r *http.Request) (*http.Response, error) {
		if err := write(r, conn); err != nil {
			return nil, err
		}
		return http.ReadResponse(reader, r)
	}
}

// get returns the body and the answer of a GET.
func get(t *testing.T, client *http.Client, url string) (string, *http.Response) {
	t.Helper()
	return getBy(t, client.Do, url)
}

// getBy is get by what sends a request.
func getBy(t *testing.T, do func(*http.Request) (*http.Response, error), url string) (string, *http.Response) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text), answer
}

// dial connects, without TLS.
func (h *host) dial() *net.TCPConn {
	h.t.Helper()
	conn, err := net.Dial("tcp", h.address)
	if err != nil {
		h.t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(patience))
	h.t.Cleanup(func() { conn.Close() })
	return conn.(*net.TCPConn)
}

// dialTLS connects and sets up TLS with the given protocols.
func (h *host) dialTLS(protocols ...string) *tls.Conn {
	h.t.Helper()
	conn := tls.Client(h.dial(), &tls.Config{RootCAs: h.roots, ServerName: hostName, NextProtos: protocols})
	if err := conn.Handshake(); err != nil {
		h.t.Fatal(err)
	}
	return conn
}

// dialHTTP connects as for HTTP/1.1 by the listener's protocol.
func (h *host) dialHTTP() net.Conn {
	h.t.Helper()
	if h.roots == nil {
		return h.dial()
	}
	return h.dialTLS(protocolH1)
}

// wantOneLine wants one line in the log for a flood of the same reason that began then; a machine on which it lasts gets another for
// each interval.
func (h *host) wantOneLine(lines int, began time.Time) {
	h.t.Helper()
	if most := 1 + int(time.Since(began)/quiet.Interval); lines < 1 || lines > most {
		h.t.Errorf("%d lines in the log, want one:\n%s", lines, h.log)
	}
}

// await waits for a condition.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
	}
}
