package inedo

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

const agentName = "agent.test"

var certificate = sync.OnceValues(func() (tls.Certificate, error) { return issue(time.Now().AddDate(1, 0, 0)) })

// issue makes a certificate that is its own authority. It was valid for long, also by the clock of synctest.
func issue(end time.Time) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		DNSNames:              []string{agentName},
		NotBefore:             end.AddDate(-40, 0, 0),
		NotAfter:              end,
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}

func agentTLS(t testing.TB) *tls.Config {
	t.Helper()
	cert, err := certificate()
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}}
}

func clientTLS(t testing.TB) *tls.Config {
	t.Helper()
	cert, err := certificate()
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{RootCAs: poolOf(cert), ServerName: agentName}
}

func poolOf(cert tls.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(cert.Leaf)
	return pool
}

// tcp returns the two ends of a TCP connection, which are closed at the end of the test.
func tcp(t testing.TB) (near, far net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if near, err = net.Dial("tcp", listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if far, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	for _, conn := range []net.Conn{near, far} {
		conn.SetDeadline(time.Now().Add(time.Minute))
	}
	return near, far
}

// talk is connect over TCP.
func talk(t testing.TB, a AgentConfig, c ClientConfig) (agent, client *Conn, agentErr, clientErr error) {
	t.Helper()
	near, far := tcp(t)
	return connect(t.Context(), near, far, a, c)
}

func ssl(config *tls.Config) Options { return Options{Mode: ModeSSL, TLS: config} }

// After a first message the bytes are raw, whether they came with it or later, and each direction ends by itself.
func TestRaw(t *testing.T) {
	for name, o := range everyMode(t) {
		if o.Mode == ModeAES {
			continue
		}
		t.Run(name, func(t *testing.T) {
			agent, client, err, err2 := talk(t, AgentConfig{Options: o}, ClientConfig{Options: o})
			if err != nil || err2 != nil {
				t.Fatal(err, err2)
			}
			up, down := bytes.Repeat([]byte("up"), 100_000), bytes.Repeat([]byte("down"), 100_000)
			var peer sync.WaitGroup
			defer peer.Wait()
			peer.Go(func() {
				client.Send(7, []byte("attach"))
				raw := must(client.Raw())
				raw.Write(up)
				raw.(interface{ CloseWrite() error }).CloseWrite()
				if got, err := io.ReadAll(raw); err != nil || !bytes.Equal(got, down) {
					t.Errorf("the client read %d bytes, %v", len(got), err)
				}
			})
			expect(t, agent, Message{Command: 7, Data: []byte("attach")})
			raw := must(agent.Raw())
			if got, err := io.ReadAll(raw); err != nil || !bytes.Equal(got, up) {
				t.Errorf("the agent read %d bytes, %v", len(got), err)
			}
			raw.Write(down)
			raw.Close()
		})
	}
}

func TestNoRawUnderAES(t *testing.T) {
	a, c := both(Options{Mode: ModeAES, Key: aKey(16)})
	agent, client := pair(t, a, c)
	for _, conn := range []*Conn{agent, client} {
		if raw, err := conn.Raw(); err != ErrRaw || raw != nil {
			t.Errorf("%v, %v", raw, err)
		}
		if _, ok := conn.ConnectionState(); ok {
			t.Error("there is a TLS state")
		}
	}
}

// An eager client sends its request and the beginning of TLS in one segment, and expects a reply of 21 bytes.
type eager struct {
	net.Conn
	held  []byte // to be sent with the first Write
	reply []byte // room for what is still to be read of the reply
}

func (e *eager) Write(p []byte) (int, error) {
	held := e.held
	e.held = nil
	n, err := e.Conn.Write(append(held, p...))
	return max(n-len(held), 0), err
}

func (e *eager) Read(p []byte) (int, error) {
	if len(e.reply) > 0 {
		if _, err := io.ReadFull(e.Conn, e.reply); err != nil {
			return 0, err
		}
		e.reply = nil
	}
	return e.Conn.Read(p)
}

func TestTLSWithTheRequest(t *testing.T) {
	near, far := tcp(t)
	var peer sync.WaitGroup
	defer peer.Wait()
	peer.Go(func() {
		conn := tls.Client(&eager{Conn: near, held: request(1000, 2000), reply: make([]byte, 21)}, clientTLS(t))
		if _, err := conn.Write(unhex("0300000008000000616263")); err != nil {
			t.Error(err)
		}
	})
	agent, err := Accept(t.Context(), far, AgentConfig{Options: ssl(agentTLS(t))})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, agent, Message{Command: 8, Data: []byte("abc")})
}

// Both widths of the reply lead into TLS, told or not.
func TestTLSAfterEitherReply(t *testing.T) {
	for _, agentWidth := range []Width{WidthWide, WidthNarrow} {
		for _, clientWidth := range []Width{WidthAuto, agentWidth} {
			agent, client, err, err2 := talk(t,
				AgentConfig{Options: ssl(agentTLS(t)), Width: agentWidth},
				ClientConfig{Options: ssl(clientTLS(t)), Width: clientWidth})
			if err != nil || err2 != nil {
				t.Fatal(err, err2)
			}
			if client.Reply().Width != agentWidth {
				t.Errorf("%+v", client.Reply())
			}
			go client.Send(1, []byte("x"))
			expect(t, agent, Message{Command: 1, Data: []byte("x")})
			if state, ok := client.ConnectionState(); !ok || state.Version != tls.VersionTLS13 {
				t.Errorf("%v, %x", ok, state.Version)
			}
		}
	}
}

func TestTLSRefused(t *testing.T) {
	expired, err := issue(time.Now().AddDate(0, 0, -1))
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := issue(time.Now().AddDate(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	old := func(config *tls.Config) *tls.Config {
		config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
			lower := config.Clone()
			lower.GetConfigForClient, lower.MinVersion, lower.MaxVersion = nil, tls.VersionTLS10, tls.VersionTLS11
			return lower, nil
		}
		return config
	}
	for name, row := range map[string]struct {
		agent, client *tls.Config
		want          func(agentErr, clientErr error) bool
	}{
		"authority": {agentTLS(t), &tls.Config{RootCAs: poolOf(stranger), ServerName: agentName},
			func(_, err error) bool { _, ok := errors.AsType[x509.UnknownAuthorityError](err); return ok }},
		"name": {agentTLS(t), &tls.Config{RootCAs: clientTLS(t).RootCAs, ServerName: "other.test"},
			func(_, err error) bool { _, ok := errors.AsType[x509.HostnameError](err); return ok }},
		"expired": {&tls.Config{Certificates: []tls.Certificate{expired}}, &tls.Config{RootCAs: poolOf(expired), ServerName: agentName},
			func(_, err error) bool { _, ok := errors.AsType[x509.CertificateInvalidError](err); return ok }},
		"no certificate asked for": {&tls.Config{Certificates: agentTLS(t).Certificates, ClientAuth: tls.RequireAndVerifyClientCert}, clientTLS(t),
			func(err, _ error) bool { return err != nil }},
		"TLS 1.1": {old(agentTLS(t)), clientTLS(t),
			func(err, err2 error) bool { return err != nil && err2 != nil }},
		"no name": {agentTLS(t), &tls.Config{},
			func(_, err error) bool { return err != nil }},
	} {
		t.Run(name, func(t *testing.T) {
			agent, client, agentErr, clientErr := talk(t, AgentConfig{Options: ssl(row.agent)}, ClientConfig{Options: ssl(row.client)})
			if !row.want(agentErr, clientErr) {
				t.Errorf("agent %v, %v; client %v, %v", agent, agentErr, client, clientErr)
			}
		})
	}
}

// A client that insists on TLS 1.1 is refused, even by a configuration that would let it in.
func TestOldTLS(t *testing.T) {
	config := agentTLS(t)
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return &tls.Config{Certificates: config.Certificates, MinVersion: tls.VersionTLS10}, nil
	}
	near, far := tcp(t)
	var peer sync.WaitGroup
	defer peer.Wait()
	peer.Go(func() {
		near.Write(request(1000, 2000))
		io.ReadFull(near, make([]byte, 21))
		old := clientTLS(t)
		old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
		tls.Client(near, old).Handshake()
	})
	_, err := Accept(t.Context(), far, AgentConfig{Options: ssl(config)})
	if err == nil || !strings.Contains(err.Error(), "TLS 1.1 is too old") {
		t.Errorf("TLS 1.1: %v", err)
	}
}

// The configuration is not copied, so sessions are resumed.
func TestResumption(t *testing.T) {
	agentConfig, clientConfig := agentTLS(t), clientTLS(t)
	clientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	for _, want := range []bool{false, true} {
		agent, client, err, err2 := talk(t, AgentConfig{Options: ssl(agentConfig)}, ClientConfig{Options: ssl(clientConfig)})
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		if state, ok := client.ConnectionState(); !ok || state.DidResume != want {
			t.Errorf("resumed: %v, wanted %v", state.DidResume, want)
		}
		go agent.Send(1, nil)
		expect(t, client, Message{Command: 1}) // and the ticket, before it
	}
}

// A TLS handshake that is cut anywhere ends the agent's.
func TestClientHelloCut(t *testing.T) {
	hello := clientHello(t)
	for n := range hello {
		conn := scripted(request(1000, 2000), hello[:n])
		if _, err := Accept(t.Context(), conn, AgentConfig{Options: ssl(agentTLS(t))}); err == nil || !conn.closed {
			t.Fatalf("%d of %d bytes: %v, closed: %v", n, len(hello), err, conn.closed)
		}
	}
}

func clientHello(t testing.TB) []byte {
	t.Helper()
	conn := scripted()
	if err := tls.Client(conn, clientTLS(t)).HandshakeContext(context.Background()); err == nil {
		t.Fatal("there is nobody")
	}
	return conn.out.Bytes()
}
