package agentd

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"jackfield"
	links "jackfield/internal/link"
	"jackfield/internal/link/control"
	"jackfield/internal/logtest"
	"jackfield/internal/relay"
	"jackfield/internal/route/dial"
	"jackfield/internal/tlsstream"
	"jackfield/wire/inedo"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second

// eventually waits for a condition.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for limit := time.Now().Add(patience); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("%s never came", what)
		}
	}
}

// within waits for a value.
func within[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("%s never came", what)
		panic("not reached")
	}
}

// An authority signs certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pool        *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key, pool: x509.NewCertPool()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().AddDate(-9, 0, 0), NotAfter: time.Now().AddDate(9, 0, 0), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err == nil {
		a.certificate, err = x509.ParseCertificate(der)
	}
	if err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.certificate)
	return a
}

// sign makes the certificate of an agent, or of a server on 127.0.0.1, that is good for a day around a time.
func (a *authority) sign(t testing.TB, name string, around time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: around.Add(-12 * time.Hour), NotAfter: around.Add(12 * time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.certificate, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// A house is a server, as far as agents are concerned.
type house struct {
	agents    *links.Agents
	authority *authority
	address   string // for TLS
	plain     string // for data without it; empty: there is none
	log       *logtest.Buffer

	ctx     context.Context
	running sync.WaitGroup

	mu      sync.Mutex
	config  *tls.Config
	renewal *control.Renewed             // the answer to Renew
	reasons func(control.Service) string // why not to publish; nil: all are
	offered map[string]offering          // by agent
	renewed chan *control.Renew          // what was asked
	conns   map[net.Conn]struct{}        // that are open
}

// An offering is what an agent offers over a link.
type offering struct {
	by       *links.AgentLink
	services []control.Service
}

func newHouse(t testing.TB) *house {
	t.Helper()
	h := &house{
		agents: links.NewAgents(), authority: newAuthority(t), log: new(logtest.Buffer), offered: make(map[string]offering),
		renewed: make(chan *control.Renew, 10), conns: make(map[net.Conn]struct{}),
	}
	h.config = &tls.Config{
		MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: h.authority.pool,
		Certificates: []tls.Certificate{h.authority.sign(t, "server", time.Now())}, NextProtos: []string{controlProtocol, dataProtocol},
	}
	ctx, stop := context.WithCancelCause(context.Background())
	h.ctx = ctx
	h.address = h.listen(t, h.serve)
	t.Cleanup(func() {
		stop(errors.New("the server is stopping"))
		h.running.Wait()
		if t.Failed() {
			t.Logf("the agent says\n%s", h.log)
		}
	})
	return h
}

// listen serves the connections of a port.
func (h *house) listen(t testing.TB, serve func(*net.TCPConn)) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	h.running.Go(func() {
		defer context.AfterFunc(h.ctx, func() { listener.Close() })()
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			h.running.Go(func() {
				defer conn.Close()
				h.track(conn, true)
				defer h.track(conn, false)
				defer context.AfterFunc(h.ctx, func() { conn.Close() })()
				serve(conn.(*net.TCPConn))
			})
		}
	})
	return listener.Addr().String()
}

func (h *house) track(conn net.Conn, open bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if delete(h.conns, conn); open {
		h.conns[conn] = struct{}{}
	}
}

// cut resets all connections of agents.
func (h *house) cut() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for conn := range h.conns {
		conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}
}

// openPlain opens the port for data without TLS.
func (h *house) openPlain(t testing.TB) {
	h.plain = h.listen(t, func(conn *net.TCPConn) { h.attach(control.ServerData(conn), "") })
}

func (h *house) serve(socket *net.TCPConn) {
	h.mu.Lock()
	config := h.config
	h.mu.Unlock()
	conn := tlsstream.Server(socket, config)
	if conn.Handshake() != nil {
		return
	}
	state := conn.ConnectionState()
	agent := state.PeerCertificates[0].Subject.CommonName
	if state.NegotiatedProtocol == dataProtocol {
		h.attach(control.ServerData(conn), agent)
		return
	}
	c, err := inedo.Handshake(h.ctx, conn, inedo.ClientConfig{
		Options: inedo.Options{MinProtocol: inedo.V2, MaxData: control.MaxData}, Width: inedo.WidthWide, AnyVersion: true,
	})
	if err != nil {
		return
	}
	messages := control.Server(c, nil)
	hello, err := messages.Greet(control.ServerHello{Server: "house 1", Agent: agent, PlainData: h.plain != "", Data: h.plain})
	if err != nil {
		return
	}
	arrival := links.AgentArrival{ID: "id", Agent: agent, Hello: hello, Plain: h.plain != ""}
	h.agents.Serve(h.ctx, arrival, messages, h)
}

func (h *house) attach(conn *control.Conn, agent string) {
	m, err := conn.Receive()
	if attach, ok := m.(*control.Attach); err == nil && ok {
		h.agents.Attach(attach.Ticket, agent, conn)
	}
}

// The house hears what agents say.

func (h *house) Arrived(*links.AgentLink) {}

func (h *house) Registered(l *links.AgentLink, services []control.Service) []control.Published {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.offered[l.Agent] = offering{l, services}
	var all []control.Published
	for _, s := range services {
		p := control.Published{Name: s.Name}
		if h.reasons != nil {
			p.Reason = h.reasons(s)
		}
		all = append(all, p)
	}
	return all
}

func (h *house) Renew(_ *links.AgentLink, r *control.Renew) *control.Renewed {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.renewed <- r
	return h.renewal
}

func (h *house) Unknown(*links.AgentLink, int32) {}

func (h *house) Left(l *links.AgentLink) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.offered[l.Agent].by == l { // else the agent has come again, and was faster
		delete(h.offered, l.Agent)
	}
}

func (h *house) services(agent string) []control.Service {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.offered[agent].services
}

// A tenant is an agent at work.
type tenant struct {
	*Agent
	stop   context.CancelCauseFunc
	cutNow chan struct{}
	done   chan struct{}
	why    error // after done
}

func (a *tenant) wait(t testing.TB) error {
	t.Helper()
	within(t, "the end of the agent", a.done)
	return a.why
}

func (h *house) options() Options {
	return Options{
		Version: "agent 1", Log: slog.New(slog.NewTextHandler(h.log, nil)), DrainTimeout: patience,
		Address: func(address string) (jackfield.Route, error) {
			return dial.New(dial.Options{Addresses: []string{address}})
		},
	}
}

// run starts an agent, and stops it when the test ends.
func run(t testing.TB, o Options, offer Offer, serve func(context.Context, *Agent, <-chan struct{}) error) *tenant {
	t.Helper()
	ctx, stop := context.WithCancelCause(context.Background())
	a := &tenant{Agent: New(o, offer), stop: stop, cutNow: make(chan struct{}), done: make(chan struct{})}
	a.pause = func(time.Duration) time.Duration { return time.Millisecond }
	go func() {
		defer close(a.done)
		a.why = serve(ctx, a.Agent, a.cutNow)
	}()
	t.Cleanup(func() {
		stop(errors.New("the test is over"))
		select {
		case <-a.cutNow:
		default:
			close(a.cutNow)
		}
		within(t, "the end of the agent", a.done)
	})
	return a
}

// join lets an agent dial the house.
func (h *house) join(t testing.TB, name string, o Options, offer Offer) *tenant {
	t.Helper()
	certificate := h.authority.sign(t, name, time.Now())
	server := Server{Address: h.address, TLS: func(protocol string) *tls.Config {
		return &tls.Config{
			ServerName: "127.0.0.1", RootCAs: h.authority.pool, Certificates: []tls.Certificate{certificate}, NextProtos: []string{protocol},
		}
	}}
	a := run(t, o, offer, func(ctx context.Context, a *Agent, cutNow <-chan struct{}) error { return a.Dial(ctx, server, cutNow) })
	h.await(t, name, offer)
	return a
}

// await waits until an agent has registered what it offers.
func (h *house) await(t testing.TB, name string, offer Offer) {
	t.Helper()
	eventually(t, "the agent", func() bool { return h.agents.Link(name) != nil && len(h.services(name)) == len(offer.Services) })
}

// open opens a stream through an agent.
func (h *house) open(t testing.TB, agent string, ask control.Open) jackfield.Stream {
	t.Helper()
	stream, err := h.tryOpen(t, agent, ask)
	if err != nil {
		t.Fatal(err)
	}
	stream.SetDeadline(time.Now().Add(patience))
	return stream
}

func (h *house) tryOpen(t testing.TB, agent string, ask control.Open) (jackfield.Stream, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stream, err := h.agents.Open(ctx, agent, ask)
	if err == nil {
		t.Cleanup(func() { stream.Close() })
	}
	return stream, err
}

// A service is what agents reach.
type service struct {
	*net.TCPListener
	t testing.TB
}

func newService(t testing.TB) *service {
	t.Helper()
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return &service{listener, t}
}

// accept takes the next connection.
func (s *service) accept() *net.TCPConn {
	s.t.Helper()
	s.SetDeadline(time.Now().Add(patience))
	conn, err := s.AcceptTCP()
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// echo serves all connections by sending back what comes, until the test ends.
func (s *service) echo() *service {
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := s.AcceptTCP()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				io.Copy(conn, conn)
			})
		}
	})
	s.t.Cleanup(func() { s.Close(); all.Wait() })
	return s
}

// dead returns an address at which nobody listens, nor will during the test: a connection begins there.
func (s *service) dead() (address string) {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	return conn.LocalAddr().String()
}

// offered is the service by name.
func (s *service) offered(name string) Service {
	s.t.Helper()
	return offered(s.t, name, s.Addr().String())
}

// offered is the service at an address by name.
func offered(t testing.TB, name, address string) Service {
	t.Helper()
	route, err := dial.New(dial.Options{Addresses: []string{address}})
	if err != nil {
		t.Fatal(err)
	}
	return Service{Name: jackfield.Name(name), Description: "a " + name, Route: route}
}

// ask sends a line and wants it back, by an echo.
func ask(t testing.TB, stream io.ReadWriter, line string) {
	t.Helper()
	if _, err := io.WriteString(stream, line); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, len(line))
	if _, err := io.ReadFull(stream, answer); err != nil || string(answer) != line {
		t.Fatalf("the answer is %q, %v", answer, err)
	}
}

// ways are how an outbound agent's data connections come.
func ways(t *testing.T, test func(t *testing.T, h *house)) {
	for _, way := range []string{"TLS", "plain"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			if way == "plain" {
				h.openPlain(t)
			}
			test(t, h)
		})
	}
}

// reset closes a connection so that its other end sees a reset.
func reset(stream jackfield.Stream) { relay.Reset(stream) }

func (h *house) logged(text string) func() bool {
	return func() bool { return strings.Contains(h.log.String(), text) }
}
