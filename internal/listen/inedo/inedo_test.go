package inedo

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"jackfield"
	"jackfield/internal/authority"
	"jackfield/internal/gateway"
	"jackfield/internal/link"
	"jackfield/internal/link/chunks"
	"jackfield/internal/link/control"
	"jackfield/internal/listen"
	"jackfield/internal/tlsstream"
	"jackfield/wire/inedo"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errVoid = errors.New("certificate revoked")

// A port is a listener for agents, with what it recorded.
type port struct {
	authority *authority.Authority
	handler   *Handler
	void      context.CancelCauseFunc // makes every certificate void
	tls       string                  // address
	plain     string                  // address
	full      bool                    // the audit log
	stop      func()

	mu      sync.Mutex
	records []string
	log     bytes.Buffer
}

func (p *port) note(event string, r *jackfield.Record, detail string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.records = append(p.records, strings.Join(strings.Fields(event+" "+r.Route+" "+detail), " "))
}

func (p *port) Opened(r *jackfield.Record) error {
	if p.full {
		return errors.New("the disk is full")
	}
	p.note("open", r, "")
	return nil
}

func (p *port) Closed(r *jackfield.Record)  { p.note("close", r, r.End.Cause) }
func (p *port) Refused(r *jackfield.Record) { p.note("refuse", r, string(r.Kind)) }

func (p *port) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *port) logged(text string) func() bool {
	return func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return strings.Contains(p.log.String(), text)
	}
}

func (p *port) expect(t *testing.T, records ...string) {
	t.Helper()
	recorded := func() []string {
		p.mu.Lock()
		defer p.mu.Unlock()
		return slices.Clone(p.records)
	}
	eventually(t, strings.Join(records, ", "), func() bool { return len(recorded()) >= len(records) })
	if got := recorded(); !slices.Equal(got, records) {
		t.Errorf("recorded %q, want %q", got, records)
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for limit := time.Now().Add(30 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("%s never came", what)
		}
	}
}

// alpn is what tells the protocols of agents apart.
type alpn struct {
	*port
	config *tls.Config
}

func (a alpn) Serve(ctx context.Context, c *listen.Client) {
	conn := tlsstream.Server(c.Conn, a.config)
	if err := conn.HandshakeContext(ctx); err != nil {
		c.Conn.Close()
		return
	}
	if conn.ConnectionState().NegotiatedProtocol == ControlProtocol {
		a.handler.Control(ctx, conn, c)
		return
	}
	a.handler.Data(ctx, conn, c)
}

// publisher publishes all that agents offer.
type publisher struct{}

func (publisher) Arrived(*link.AgentLink) {}
func (publisher) Registered(_ *link.AgentLink, services []control.Service) (all []control.Published) {
	for _, s := range services {
		all = append(all, control.Published{Name: s.Name})
	}
	return all
}
func (publisher) Renew(*link.AgentLink, *control.Renew) *control.Renewed { return new(control.Renewed) }
func (publisher) Unknown(*link.AgentLink, int32)                         {}
func (publisher) Left(*link.AgentLink)                                   {}

func open(t *testing.T) *port {
	t.Helper()
	return openWith(t, func(*port) {})
}

// openWith is open for a port that something is changed of.
func openWith(t *testing.T, change func(*port)) *port {
	t.Helper()
	a, err := authority.Open(authority.Options{Dir: filepath.Join(t.TempDir(), "ca"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	own, err := a.ServerCertificate()
	if err != nil {
		t.Fatal(err)
	}
	config, err := a.TLSConfig(authority.Listener{
		Certificates: []authority.Certificate{own}, Clients: authority.Required, Protocols: []string{ControlProtocol, DataProtocol},
	})
	if err != nil {
		t.Fatal(err)
	}
	inForce, void := context.WithCancelCause(context.Background())
	p := &port{authority: a, void: void}
	log := slog.New(slog.NewTextHandler(p, nil))
	p.handler = &Handler{
		Gateway:  &gateway.Gateway{Sessions: gateway.NewSessions("test"), Recorder: p, Log: log},
		Listener: &gateway.Listener{Name: "web", Protocol: "https"},
		Agents:   link.NewAgents(),
		Links:    publisher{},
		Peer: func(ctx context.Context, c *x509.Certificate) (*Peer, error) {
			ctx, cancel := context.WithCancelCause(ctx)
			stop := context.AfterFunc(inForce, func() { cancel(context.Cause(inForce)) })
			subject, serial, err := authority.ParsePeer(c)
			if subject.Name == "unknown" {
				err = errors.New("nobody knows it")
			}
			if err != nil {
				cancel(nil)
			}
			return &Peer{Agent: subject.Name, Serial: serial, InForce: ctx, Release: func() { stop(); cancel(nil) }}, err
		},
		Version: "server 1",
		DataAt:  func(agent string) (string, bool) { return "127.0.0.1:1", agent == "plain" },
		Log:     log,
	}
	change(p)
	ctx, cut := context.WithCancelCause(context.Background())
	sockets := listen.NewSockets(ctx)
	servers := []*listen.Server{
		{Name: "web", Address: "127.0.0.1:0", Handler: alpn{p, config}, Log: log},
		{Name: "data", Address: "127.0.0.1:0", Handler: Plain{p.handler}, Log: log},
	}
	if err := sockets.Swap(servers); err != nil {
		t.Fatal(err)
	}
	p.tls, p.plain = sockets.Addr(servers[0]).String(), sockets.Addr(servers[1]).String()
	p.stop = sync.OnceFunc(func() {
		cut(errors.New("server is stopping"))
		sockets.StopAccepting()
		sockets.Wait()
		void(nil)
	})
	t.Cleanup(p.stop)
	return p
}

// dial connects as the agent of that name.
func (p *port) dial(t *testing.T, agent, protocol string) *tls.Conn {
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
	signed, err := p.authority.Sign(text, authority.Subject{Kind: authority.Agent, Name: agent}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(signed.PEM)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(p.authority.Bundle())
	socket := p.connect(t, p.tls)
	conn := tlsstream.Client(socket, &tls.Config{
		RootCAs: roots, ServerName: "localhost", NextProtos: []string{protocol},
		Certificates: []tls.Certificate{{Certificate: [][]byte{block.Bytes}, PrivateKey: key}},
	})
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	return conn
}

func (p *port) connect(t *testing.T, address string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	return conn.(*net.TCPConn)
}

// come brings the link of an agent up, which answers pings.
func (p *port) come(t *testing.T, agent string) (*control.Conn, *control.ServerHello) {
	t.Helper()
	conn, err := inedo.Accept(t.Context(), p.dial(t, agent, ControlProtocol), inedo.AgentConfig{
		Options: inedo.Options{MinProtocol: inedo.V2, MaxData: control.MaxData},
	})
	if err != nil {
		t.Fatal(err)
	}
	messages := control.Agent(conn, nil)
	messages.SetDeadline(time.Now().Add(30 * time.Second))
	hello, err := messages.Answer(control.AgentHello{Agent: "agent 1"})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the link", func() bool { return p.handler.Agents.Link(agent) != nil })
	return messages, hello
}

// ticket waits for the ticket of a stream that is being opened.
func ticket(t *testing.T, c *control.Conn) control.Ticket {
	t.Helper()
	for {
		m, err := c.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if attach, is := m.(*control.Attach); is && attach.Number != 0 {
			return attach.Ticket
		}
	}
}

func TestAgentComesAndGoes(t *testing.T) {
	p := open(t)
	messages, hello := p.come(t, "pi")
	if hello.Agent != "pi" || hello.Server != "server 1" || hello.PlainData || hello.Data != "127.0.0.1:1" {
		t.Errorf("the server says %+v", hello)
	}
	l := p.handler.Agents.Link("pi").State()
	if l.Listener != "web" || l.ID == "" || l.Serial == "" || l.Source.Port() == 0 || l.Plain || l.Hello.Agent != "agent 1" {
		t.Errorf("the link is %+v", l)
	}
	p.come(t, "other")
	messages.Close()
	p.expect(t, "open agent pi", "open agent other", "close agent pi finished")
	eventually(t, "the end of the link", func() bool { return p.handler.Agents.Link("pi") == nil })
}

func TestAgentEnds(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(*testing.T, *port)
		want []string
	}{
		"anew":    {func(t *testing.T, p *port) { p.come(t, "pi") }, []string{"open agent pi", "open agent pi", "close agent pi the agent has connected anew"}},
		"revoked": {func(_ *testing.T, p *port) { p.void(errVoid) }, []string{"open agent pi", "close agent pi certificate revoked"}},
		"stopped": {func(_ *testing.T, p *port) { p.stop() }, []string{"open agent pi", "close agent pi server is stopping"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := open(t)
			messages, _ := p.come(t, "pi")
			if name == "anew" {
				first := p.handler.Agents.Link("pi")
				defer func() {
					if p.handler.Agents.Link("pi") == first {
						t.Error("the old link is still there")
					}
				}()
			}
			test.end(t, p)
			for err := error(nil); err == nil; {
				_, err = messages.Receive()
			}
			p.expect(t, test.want...)
		})
	}
}

func TestNotAnAgent(t *testing.T) {
	for name, test := range map[string]struct {
		agent string
		speak func(*tls.Conn)
		want  string
	}{
		"unknown":            {"unknown", func(*tls.Conn) {}, "refuse denied"},
		"HTTP":               {"pi", func(c *tls.Conn) { io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }, "refuse invalid"},
		"nothing":            {"pi", func(c *tls.Conn) { c.CloseWrite() }, "refuse invalid"},
		"another encryption": {"pi", func(c *tls.Conn) { c.Write(append([]byte{2}, make([]byte, 36)...)) }, "refuse invalid"},
		"no hello": {"pi", func(c *tls.Conn) {
			conn, err := inedo.Accept(context.Background(), c, inedo.AgentConfig{})
			if err == nil {
				control.Agent(conn, nil).Send(&control.Register{})
			}
		}, "refuse invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			p := open(t)
			conn := p.dial(t, test.agent, ControlProtocol)
			test.speak(conn)
			io.Copy(io.Discard, conn) // until it is closed
			p.expect(t, test.want)
			if len(p.handler.Agents.Links()) > 0 {
				t.Error("there is a link")
			}
		})
	}
}

// Whose link cannot be recorded does not come in.
func TestFullAudit(t *testing.T) {
	p := openWith(t, func(p *port) { p.full = true })
	conn, err := inedo.Accept(t.Context(), p.dial(t, "pi", ControlProtocol), inedo.AgentConfig{Options: inedo.Options{MinProtocol: inedo.V2}})
	if err != nil {
		t.Fatal(err)
	}
	messages := control.Agent(conn, nil)
	messages.Answer(control.AgentHello{})
	if m, err := messages.Receive(); err == nil {
		t.Errorf("it got %+v", m)
	}
	p.expect(t, "refuse agent pi internal")
}

func TestData(t *testing.T) {
	for _, agent := range []string{"pi", "plain"} {
		t.Run(agent, func(t *testing.T) {
			p := open(t)
			messages, hello := p.come(t, agent)
			if hello.PlainData != (agent == "plain") {
				t.Errorf("the server says %+v", hello)
			}
			opened := make(chan jackfield.Stream, 1)
			go func() {
				stream, err := p.handler.Agents.Open(t.Context(), agent, control.Open{Service: "ssh"})
				if err != nil {
					t.Error(err)
				}
				opened <- stream
			}()
			var conn net.Conn
			if agent == "plain" {
				conn = p.connect(t, p.plain)
			} else {
				conn = p.dial(t, agent, DataProtocol)
			}
			data := control.AgentData(conn)
			data.Send(&control.Attach{Ticket: ticket(t, messages)})
			m, err := data.Receive()
			if err != nil {
				t.Fatal(err)
			}
			data.Send(&control.OpenResult{Stream: m.(*control.Open).Stream})
			stream := <-opened
			if stream == nil {
				t.FailNow()
			}
			far := conn.(jackfield.Stream)
			if encrypted, ok := conn.(*tls.Conn); ok {
				far = chunks.New(tlsstream.Of(encrypted))
			}
			io.WriteString(stream, "question")
			if err := stream.CloseWrite(); err != nil {
				t.Error(err)
			}
			if question, err := io.ReadAll(far); err != nil || string(question) != "question" {
				t.Errorf("read %q, %v", question, err)
			}
			io.WriteString(far, "answer")
			far.CloseWrite()
			if answer, err := io.ReadAll(stream); err != nil || string(answer) != "answer" {
				t.Errorf("read %q, %v", answer, err)
			}
			stream.Close()
		})
	}
}

func TestBadData(t *testing.T) {
	for name, test := range map[string]struct {
		agent string
		speak func(*control.Conn)
		want  string
	}{
		"a ticket that is guessed": {"pi", func(c *control.Conn) { c.Send(&control.Attach{Ticket: control.Ticket{1}}) }, "the ticket is not good"},
		"something else":           {"pi", func(c *control.Conn) { c.Send(&control.Pong{}) }, "did not begin with a ticket"},
		"no message":               {"pi", func(c *control.Conn) { raw, _ := c.Raw(); raw.Write(bytes.Repeat([]byte{0xff}, 8)) }, "impossible length"},
		"an unknown agent":         {"unknown", func(*control.Conn) {}, "nobody knows it"},
		"silence":                  {"pi", func(*control.Conn) {}, "no ticket in time"},
		"no TLS":                   {"", func(c *control.Conn) { c.Send(&control.Attach{}) }, "the ticket is not good"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := open(t)
			var conn net.Conn
			if test.agent == "" {
				conn = p.connect(t, p.plain)
			} else {
				conn = p.dial(t, test.agent, DataProtocol)
			}
			test.speak(control.AgentData(conn))
			if got, err := io.ReadAll(conn); len(got) > 0 || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("it got %q, %v", got, err)
			}
			eventually(t, "what the log says", p.logged(test.want))
		})
	}
}

// Data connections that wait hold nothing up.
func TestDataEndsWithServer(t *testing.T) {
	p := open(t)
	silent, plain := p.dial(t, "pi", DataProtocol), p.connect(t, p.plain)
	p.stop()
	for _, conn := range []net.Conn{silent, plain} {
		if got, err := io.ReadAll(conn); len(got) > 0 || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("it got %q, %v", got, err)
		}
	}
}

// nobody lets nobody in.
type nobody struct{}

func (nobody) Decide(context.Context, *jackfield.Request) jackfield.Decision {
	return jackfield.Decision{By: "test"}
}

func (nobody) DecideEarly(*jackfield.Request) (jackfield.Decision, bool) {
	return jackfield.Decision{By: "test"}, true
}

func TestScreened(t *testing.T) {
	p := openWith(t, func(p *port) { p.handler.Listener.Level.ACL = nobody{} })
	conn, err := net.Dial("tcp", p.plain)
	if err == nil { // else the reset came before it was noticed to be there
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(30 * time.Second))
		_, err = conn.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a reset", err)
	}
	p.expect(t, "refuse denied")
}
