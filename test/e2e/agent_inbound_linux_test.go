package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"jackfield/internal/api"
	"jackfield/internal/link/control"
	"jackfield/test/live"
	"jackfield/wire/inedo"
)

// TestInboundAgents: agents that listen are dialled by the server, in each mode of the Inedo protocol. Who has not their own key
// has nothing done by them, whatever he says and whatever else he knows.
func TestInboundAgents(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	echo, stop, err := startBackend(func(ctx context.Context, conn *net.TCPConn) {
		calls.Add(1)
		backends["echo"](ctx, conn)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	f := newFleet(t, fleetConfig)
	offers := make(map[string]string)
	for _, name := range []string{"tls-in", "aes-in", "plain-in"} {
		offers[name] = "allow = [\"" + echo + "\"]\nservice \"" + name + "\" {\n  address = \"" + echo + "\"\n}\n"
	}
	agents := f.addInbound(t, fleetConfig, offers)
	since := make(map[string]time.Time)
	for name := range agents {
		f.await(t, name, func(a *api.Agent) bool {
			since[name] = a.Since
			return a.State == api.AgentLinked && len(a.Services) == 1 && a.Inbound
		})
		f.cli(t, "", "agent", "reload", name)
	}
	f.echoes(t, "tls-in")
	f.echoes(t, "plain-in")
	f.refuses(t, "aes-in", "service not available")
	if n := calls.Load(); n != 2 {
		t.Errorf("the service was called %d times", n)
	}

	for name, a := range agents {
		t.Run(name, func(t *testing.T) {
			h := newStranger(t, a, echo)
			for _, attack := range h.attacks() {
				t.Run(attack.name, func(t *testing.T) {
					said := len(a.Output())
					h.expectClosed(t, attack.do(t))
					a.awaitSaidSince(t, said, live.Equal("msg", "a server's connection has ended"))
				})
			}
			if opened := live.Select(a.Output(), live.Match("msg", regexp.MustCompile("stream opened|asked the agent to end|tunnel"))); len(opened) > 0 &&
				name == "aes-in" || len(opened) > 1 { // the one from before
				t.Errorf("the agent says %v", opened)
			}
			if state := f.agentState(t, name); !state.Since.Equal(since[name]) {
				t.Errorf("the server's link is of %v now, it was of %v", state.Since, since[name])
			}
			f.cli(t, "", "agent", "reload", name)
		})
	}
	if n := calls.Load(); n != 2 {
		t.Errorf("the service was called %d times", n)
	}
	f.echoes(t, "tls-in")
	f.echoes(t, "plain-in")
	f.changeKey(t, agents["plain-in"].state, since)
}

// changeKey has the server read another key of plain-in, which is not the agent's, and then the right one again. Links to others stay.
func (f *fleet) changeKey(t *testing.T, state string, since map[string]time.Time) {
	t.Helper()
	path := filepath.Join(state, "seal.key")
	right := fileText(t, path)
	for _, key := range []string{strings.Repeat("5a", 32), right} {
		if err := os.WriteFile(path, []byte(key), 0o600); err != nil {
			t.Fatal(err)
		}
		f.cli(t, "", "reload")
		if key == right {
			f.awaitPublished(t, "plain-in", 1)
		} else {
			f.awaitState(t, "plain-in", api.AgentAway)
		}
		if now := f.agentState(t, "tls-in").Since; !now.Equal(since["tls-in"]) {
			t.Errorf("the link to tls-in is of %v now, it was of %v", now, since["tls-in"])
		}
	}
	f.echoes(t, "plain-in")
}

// awaitSaidSince waits for a line of the agent's log after what it had said before.
func (a *agent) awaitSaidSince(t *testing.T, before int, tests ...live.Test) {
	t.Helper()
	if err := a.WaitFor(func(output string) bool { return len(live.Select(output[before:], tests...)) > 0 }); err != nil {
		t.Fatal(err)
	}
}

// A stranger connects to an agent, and knows everything but the key that seals its messages.
type stranger struct {
	address, echo string
	name          string
	protocol      inedo.ClientConfig
	key           control.Key // what it does not know: of use for a recording only
}

func newStranger(t *testing.T, a *agent, echo string) *stranger {
	t.Helper()
	h := &stranger{name: a.name, echo: echo, address: a.awaitSaid(t, live.Equal("msg", "listening"))["address"].(string)}
	h.protocol.MinProtocol, h.protocol.MaxData, h.protocol.AnyVersion = inedo.V2, control.MaxData, true
	h.protocol.Width = inedo.WidthWide
	var err error
	switch {
	case strings.HasPrefix(a.name, "tls"):
		h.protocol.Mode, h.protocol.TLS = inedo.ModeSSL, &tls.Config{InsecureSkipVerify: true}
	case strings.HasPrefix(a.name, "aes"):
		h.protocol.Mode = inedo.ModeAES
		if h.protocol.Key, err = inedo.ParseKey(strings.TrimSpace(fileText(t, filepath.Join(a.state, "aes.key")))); err != nil {
			t.Fatal(err)
		}
	}
	if h.key, err = control.ParseKey(fileText(t, filepath.Join(a.state, "seal.key"))); err != nil {
		t.Fatal(err)
	}
	return h
}

type attack struct {
	name string
	do   func(*testing.T) *inedo.Conn // returns the connection, which is to be closed by the agent
}

func (h *stranger) attacks() []attack {
	messages := map[string]control.Message{
		"hello":  &control.ServerHello{Version: control.Version, Server: "jackfield", Agent: h.name},
		"open":   &control.Open{Stream: 1, Service: h.name, Within: time.Second},
		"attach": &control.Attach{Number: 1},
		"tunnel": &control.Tunnel{Number: 1, ServerAddress: "127.0.0.1", ServerPort: 1, LocalAddress: "127.0.0.1", LocalPort: 1},
		"drain":  &control.Drain{Reason: "hostile"},
	}
	var list []attack
	for name, m := range messages {
		list = append(list,
			attack{name + " without HMAC", func(t *testing.T) *inedo.Conn { return h.says(t, nil, m) }},
			attack{name + " with a wrong HMAC", func(t *testing.T) *inedo.Conn { return h.says(t, new(control.Key), m) }},
			attack{name + " after a recorded hello", func(t *testing.T) *inedo.Conn { return h.replays(t, m) }},
		)
	}
	return append(list, attack{"attach without HMAC, then open", func(t *testing.T) *inedo.Conn {
		return h.says(t, nil, messages["attach"], messages["open"])
	}})
}

func (h *stranger) dial(t *testing.T) *inedo.Conn {
	t.Helper()
	socket, err := net.Dial("tcp", h.address)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := inedo.Handshake(t.Context(), socket, h.protocol)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(live.Patience))
	return conn
}

// says sends messages under a key; nil: without any.
func (h *stranger) says(t *testing.T, key *control.Key, messages ...control.Message) *inedo.Conn {
	t.Helper()
	conn := h.dial(t)
	sending := control.Server(conn, key)
	for _, m := range messages {
		if sending.Send(m) != nil { // it is closed already
			break
		}
	}
	return conn
}

// replays sends what a server has said to the agent on an earlier link: hello, which the agent answers, and one more.
func (h *stranger) replays(t *testing.T, m control.Message) *inedo.Conn {
	t.Helper()
	recorded := h.record(t, m)
	conn := h.dial(t)
	if err := conn.Send(recorded[0].Command, recorded[0].Data); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Receive(); err != nil {
		t.Fatalf("a recorded hello is not answered: %v", err)
	}
	conn.Send(recorded[1].Command, recorded[1].Data)
	return conn
}

// A recorder keeps what is written.
type recorder struct {
	net.Conn
	written bytes.Buffer
}

func (r *recorder) Write(p []byte) (int, error) {
	r.written.Write(p)
	return r.Conn.Write(p)
}

// record returns the messages of a server to an agent with the right key: its hello and another one.
func (h *stranger) record(t *testing.T, m control.Message) (messages []inedo.Message) {
	t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	var agent sync.WaitGroup
	agent.Go(func() {
		if conn, err := inedo.Accept(t.Context(), far, inedo.AgentConfig{Options: inedo.Options{MinProtocol: inedo.V2}}); err != nil {
			t.Error(err)
		} else if link := control.Agent(conn, &h.key); true {
			link.Answer(control.AgentHello{})
			link.Receive()
		}
	})
	r := &recorder{Conn: near}
	clear := h.protocol
	clear.Mode, clear.TLS, clear.Key = inedo.ModeNone, nil, inedo.Key{}
	conn, err := inedo.Handshake(t.Context(), r, clear)
	if err != nil {
		t.Fatal(err)
	}
	link := control.Server(conn, &h.key)
	if _, err := link.Greet(control.ServerHello{Agent: h.name}); err != nil {
		t.Fatal(err)
	}
	if err := link.Send(m); err != nil {
		t.Fatal(err)
	}
	agent.Wait()
	const request = 24
	for wire := r.written.Bytes()[request:]; len(wire) > 0; {
		length := binary.LittleEndian.Uint32(wire)
		messages = append(messages, inedo.Message{Command: int32(binary.LittleEndian.Uint32(wire[4:])), Data: wire[8 : 8+length]})
		wire = wire[8+length:]
	}
	return messages
}

// expectClosed wants the agent to close the connection, and to say nothing more.
func (h *stranger) expectClosed(t *testing.T, conn *inedo.Conn) {
	t.Helper()
	if m, err := conn.Receive(); err == nil || os.IsTimeout(err) {
		t.Errorf("the agent answers %#x, %v", m.Command, err)
	}
}

// TestInboundImpostor: who listens in an agent's place, and has not its key, is no agent.
func TestInboundImpostor(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	f := newFleet(t, fleetConfig)
	writeFile(t, filepath.Join(f.dir, "seal.key"), randomKey())
	if out, status := reload(t, f.dir, fleetConfig+`
agent "plant-3" {
  address    = "`+ln.Addr().String()+`"
  encryption = "none"
  key_file   = "seal.key"
  offers     = ["*"]
  listeners  = ["mux"]
  rule "allow" {}
}
`); status != 0 {
		t.Fatal(out)
	}
	for n, key := range []*control.Key{nil, new(control.Key)} {
		ln.(*net.TCPListener).SetDeadline(time.Now().Add(live.Patience))
		socket, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		conn, err := inedo.Accept(t.Context(), socket, inedo.AgentConfig{Options: inedo.Options{MinProtocol: inedo.V2}})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(live.Patience))
		hello, err := conn.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			conn.Send(hello.Command, hello.Data) // as if it were its own
		}
		impostor := control.Agent(conn, key)
		impostor.Send(&control.AgentHello{Version: control.Version, Agent: "impostor"})
		impostor.Send(&control.Register{Services: []control.Service{{Name: "stolen"}}})
		if m, err := conn.Receive(); err == nil || os.IsTimeout(err) {
			t.Errorf("the server goes on with %#x, %v", m.Command, err)
		}
		f.field().awaitLines(t, n+1, live.Equal("msg", "no link to an agent"), live.Equal("agent", "plant-3"),
			live.Match("error", regexp.MustCompile("not sealed as it has to be|^malformed message")))
	}
	f.awaitState(t, "plant-3", api.AgentAway)
	f.refuses(t, "stolen", "service not available")
}
