package agentd

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"jackfield"
	links "jackfield/internal/link"
	"jackfield/internal/link/control"
	"jackfield/wire/inedo"
)

var ownKey = control.Key{1, 2, 3}

// protocols are both ends' configurations in a mode.
func protocols(t testing.TB, h *house, mode string) (agent inedo.AgentConfig, server inedo.ClientConfig) {
	t.Helper()
	parsed, err := inedo.ParseMode(mode)
	if err != nil {
		t.Fatal(err)
	}
	o := inedo.Options{Mode: parsed, MinProtocol: inedo.V2, MaxData: control.MaxData}
	if parsed == inedo.ModeAES {
		if o.Key, err = inedo.ParseKey(strings.Repeat("0f", 32)); err != nil {
			t.Fatal(err)
		}
	}
	agent, server = inedo.AgentConfig{Options: o}, inedo.ClientConfig{Options: o, Width: inedo.WidthWide, AnyVersion: true}
	if parsed == inedo.ModeSSL {
		agent.TLS = &tls.Config{Certificates: []tls.Certificate{h.authority.sign(t, "pi", time.Now())}}
		server.TLS = &tls.Config{ServerName: "127.0.0.1", RootCAs: h.authority.pool}
	}
	return agent, server
}

// An inbound agent is one that listens.
type inbound struct {
	*tenant
	address  string
	protocol inedo.ClientConfig
}

func (h *house) inbound(t testing.TB, mode string, o Options, offer Offer, change func(*Listening)) *inbound {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	agent, server := protocols(t, h, mode)
	listening := Listening{Protocol: agent, Key: ownKey}
	if change != nil {
		change(&listening)
	}
	a := run(t, o, offer, func(ctx context.Context, a *Agent, cutNow <-chan struct{}) error {
		return a.Listen(ctx, listener, listening, cutNow)
	})
	return &inbound{a, listener.Addr().String(), server}
}

// keep has the house keep a link to an inbound agent.
func (h *house) keep(a *inbound) (stop func()) {
	ctx, cancel := context.WithCancel(h.ctx)
	var kept sync.WaitGroup
	kept.Go(func() {
		h.agents.KeepInbound(ctx, links.Inbound{
			Agent: "pi", Address: a.address, Protocol: a.protocol, Key: ownKey, Version: "house 1", NewID: func() string { return "id" },
			Log: slog.New(slog.NewTextHandler(h.log, nil)),
		}, h)
	})
	h.running.Go(kept.Wait)
	return func() { cancel(); kept.Wait() }
}

func TestInboundStreams(t *testing.T) {
	for _, mode := range []string{"none", "ssl"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			echo, s := newService(t).echo(), newService(t)
			offer := Offer{Services: []Service{echo.offered("echo"), s.offered("it")}, Allow: allowing(t, echo.Addr().String())}
			a := h.inbound(t, mode, h.options(), offer, nil)
			stop := h.keep(a)
			h.await(t, "pi", offer)
			for range 5 {
				ask(t, h.open(t, "pi", control.Open{Service: "echo"}), "by name")
				ask(t, h.open(t, "pi", control.Open{Address: echo.Addr().String()}), "by address")
			}
			eventually(t, "connections that are kept ready", func() bool { return h.agents.Link("pi").State().Ready > 0 })
			ask(t, h.open(t, "pi", control.Open{Service: "echo"}), "by one of them")
			if _, err := h.tryOpen(t, "pi", control.Open{Address: "127.0.0.1:1"}); jackfield.AsError(err).Kind != jackfield.Denied {
				t.Errorf("what is not allowed: %v", err)
			}

			client, far := h.joined(t, s)
			client.CloseWrite()
			if question, err := io.ReadAll(far); err != nil || len(question) > 0 {
				t.Errorf("%q, %v", question, err)
			}
			io.WriteString(far, "answer")
			far.CloseWrite()
			if answer, err := io.ReadAll(client); err != nil || string(answer) != "answer" {
				t.Errorf("%q, %v", answer, err)
			}
			client, far = h.joined(t, s)
			reset(client)
			expectReset(t, far)
			client, far = h.joined(t, s)
			reset(far)
			expectReset(t, client)

			client, far = h.joined(t, s)
			stop() // the link ends
			expectReset(t, far)
			expectReset(t, client)
			h.keep(a)
			h.await(t, "pi", offer)

			client, far = h.joined(t, s)
			a.SetDrainTimeout(0)
			a.stop(errEnough)
			if err := a.wait(t); !errors.Is(err, errEnough) {
				t.Errorf("the agent ended by %v", err)
			}
			expectReset(t, far)
			expectReset(t, client)
		})
	}
}

// By AES the server controls the agent, and opens no streams.
func TestInboundAES(t *testing.T) {
	h := newHouse(t)
	echo := newService(t).echo()
	o := h.options()
	o.Reload = func() (Offer, error) { return Offer{Services: []Service{echo.offered("echo")}}, nil }
	a := h.inbound(t, "aes", o, Offer{}, nil)
	h.keep(a)
	h.await(t, "pi", Offer{})
	if err := h.agents.Link("pi").Reload(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := h.agents.Link("pi").Status(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := h.tryOpen(t, "pi", control.Open{Service: "echo"}); err == nil || !strings.Contains(err.Error(), "control only") {
		t.Errorf("a stream: %v", err)
	}
	if err := h.agents.Link("pi").Drain(""); err != nil {
		t.Error(err)
	}
	if err := a.wait(t); !errors.Is(err, ErrDrained) {
		t.Errorf("the agent ended by %v", err)
	}
}

// A forger dials an inbound agent, and may have recorded what the server said.
type forger struct {
	*control.Conn
}

func (a *inbound) forge(t testing.TB, key *control.Key) *forger {
	t.Helper()
	socket, err := net.Dial("tcp", a.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	conn, err := inedo.Handshake(t.Context(), socket, a.protocol)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(patience))
	return &forger{control.Server(conn, key)}
}

// expectClosed wants the agent to close the connection without a word.
func (f *forger) expectClosed(t testing.TB, what string) {
	t.Helper()
	m, err := f.Receive()
	if timeout, is := errors.AsType[net.Error](err); err == nil || is && timeout.Timeout() {
		t.Errorf("%s: the agent says %+v, %v", what, m, err)
	}
}

// Nothing is done for who does not have the key, in any mode.
func TestForgedInbound(t *testing.T) {
	for _, mode := range []string{"none", "ssl", "aes"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			s := newService(t)
			offer := Offer{Services: []Service{s.offered("it")}}
			a := h.inbound(t, mode, h.options(), offer, nil)
			h.keep(a)
			h.await(t, "pi", offer)
			present := a.current()

			for name, key := range map[string]*control.Key{"no seal": nil, "another key": {9}} {
				f := a.forge(t, key)
				if hello, err := f.Greet(control.ServerHello{Server: "a forger"}); err == nil {
					t.Errorf("%s: the agent says %+v", name, hello)
				}
				for what, m := range map[string]control.Message{
					"attach": &control.Attach{Ticket: control.Ticket(present.id), Number: 1000},
					"open":   &control.Open{Stream: 1, Service: "it"},
					"drain":  &control.Drain{Reason: "forged"},
					"tunnel": &control.Tunnel{Number: 1},
				} {
					f := a.forge(t, key)
					f.Send(m)
					f.Send(&control.Open{Stream: 1, Service: "it"})
					f.expectClosed(t, what+" with "+name)
				}
			}
			foreign := a.forge(t, &ownKey)
			foreign.Send(&control.Attach{Ticket: control.Ticket{1}, Number: 1})
			foreign.expectClosed(t, "attach to another link")

			if a.current() != present || h.agents.Link("pi") == nil {
				t.Error("the present link is gone")
			}
			if _, err := h.agents.Link("pi").Status(t.Context()); err != nil {
				t.Error(err)
			}
			if strings.Contains(h.log.String(), "forged") || a.opened.Load() != 0 {
				t.Error("a forger was listened to")
			}
		})
	}
}

// A wiretap passes an inbound agent's connections on, and records what the server says.
type wiretap struct {
	address string
	mu      sync.Mutex
	said    [][]byte // by connection
}

func (h *house) wiretap(t testing.TB, to string) *wiretap {
	w := new(wiretap)
	w.address = h.listen(t, func(conn *net.TCPConn) {
		far, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		defer far.Close()
		w.mu.Lock()
		n := len(w.said)
		w.said = append(w.said, nil)
		w.mu.Unlock()
		var both sync.WaitGroup
		both.Go(func() {
			io.Copy(conn, far)
			conn.CloseWrite()
		})
		io.Copy(io.MultiWriter(far, writerFunc(func(p []byte) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.said[n] = append(w.said[n], p...)
		})), conn)
		far.(*net.TCPConn).CloseWrite()
		both.Wait()
	})
	return w
}

func (w *wiretap) recorded() [][]byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	said := make([][]byte, len(w.said))
	for i, s := range w.said {
		said[i] = slices.Clone(s)
	}
	return said
}

type writerFunc func([]byte)

func (f writerFunc) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}

// What was recorded is worth nothing when it is said again: neither the link, nor data connections.
func TestReplayed(t *testing.T) {
	h := newHouse(t)
	s := newService(t)
	offer := Offer{Services: []Service{s.offered("it")}}
	a := h.inbound(t, "none", h.options(), offer, nil)
	w := h.wiretap(t, a.address)
	tapped := *a
	tapped.address = w.address
	h.keep(&tapped)
	h.await(t, "pi", offer)
	client, far := h.joined(t, s)
	ask2(t, client, far)
	eventually(t, "what was said", func() bool {
		return slices.ContainsFunc(w.recorded(), func(said []byte) bool { return bytes.HasSuffix(said, []byte("line")) })
	})
	present := a.current()
	opened := a.opened.Load()
	for i, said := range w.recorded() {
		conn, err := net.Dial("tcp", a.address)
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(patience))
		conn.Write(said)
		conn.(*net.TCPConn).CloseWrite() // of a connection that was just being made, what was recorded is no whole handshake
		answer, err := io.ReadAll(conn)
		conn.Close()
		if i > 0 && len(answer) > 21 { // the handshake's
			t.Errorf("connection %d: the agent answers %q, %v", i, answer, err)
		}
	}
	if a.current() != present || a.opened.Load() != opened {
		t.Error("a recording was believed")
	}
	ask2(t, client, far)
}

// ask2 has a line pass from one end to the other.
func ask2(t testing.TB, near, far net.Conn) {
	t.Helper()
	io.WriteString(near, "line")
	got := make([]byte, 4)
	if _, err := io.ReadFull(far, got); err != nil || string(got) != "line" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestAllowedAddresses(t *testing.T) {
	h := newHouse(t)
	a := h.inbound(t, "none", h.options(), Offer{}, func(l *Listening) {
		l.Allowed = []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32"), netip.MustParsePrefix("::1/128")}
	})
	conn, err := net.Dial("tcp", a.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if got, err := io.ReadAll(conn); len(got) > 0 || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %q, %v", got, err)
	}
	eventually(t, "what the agent says of it", h.logged("its address is not allowed"))
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	allowed, err := from.DialContext(t.Context(), "tcp", a.address)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := inedo.Handshake(t.Context(), allowed, a.protocol); err != nil {
		t.Error(err)
	}
	allowed.Close()
}

// Who comes while all places for handshakes are taken waits, and gets the next one that is free.
func TestHandshakesWait(t *testing.T) {
	h := newHouse(t)
	a := h.inbound(t, "none", h.options(), Offer{}, func(l *Listening) { l.MaxHandshakes = 2 })
	var idle []net.Conn
	for range 2 {
		conn, err := net.Dial("tcp", a.address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		idle = append(idle, conn)
	}
	third, err := net.Dial("tcp", a.address)
	if err != nil {
		t.Fatal(err)
	}
	defer third.Close()
	answered := make(chan error, 1)
	go func() {
		_, err := inedo.Handshake(context.Background(), third, a.protocol)
		answered <- err
	}()
	select {
	case err := <-answered:
		t.Errorf("it did not wait: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	idle[0].Close()
	if err := within(t, "the answer", answered); err != nil {
		t.Error(err)
	}
}

func TestHandshakeTimeout(t *testing.T) {
	h := newHouse(t)
	a := h.inbound(t, "none", h.options(), Offer{}, func(l *Listening) { l.Protocol.Timeout = 50 * time.Millisecond })
	conn, err := net.Dial("tcp", a.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if got, err := io.ReadAll(conn); len(got) > 0 || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestNumbers(t *testing.T) {
	var n numbers
	for _, test := range []struct {
		number int64
		good   bool
	}{
		{0, false}, {-1, false}, {1, true}, {1, false}, {3, true}, {2, true}, {2, false}, {window + 3, true}, {3, false}, {4, true}, {4, false},
		{1 << 40, true}, {window + 4, false}, {1<<40 - window + 1, true}, {1<<40 - window, false}, {1<<63 - 1, true}, {1 << 40, false},
	} {
		if got := n.take(test.number); got != test.good {
			t.Errorf("%d: %v", test.number, got)
		}
	}
	for i := range int64(10 * window) {
		n.take(i)
	}
	if len(n.recent) > window {
		t.Errorf("%d numbers are remembered", len(n.recent))
	}
}
