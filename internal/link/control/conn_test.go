package control

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"jackfield/wire/inedo"
)

var testKey = Key{1, 2, 3}

// modes are those of the Inedo protocol, with a key for both ends or without.
var modes = sync.OnceValue(func() map[string]inedo.Options {
	host := httptest.NewUnstartedServer(nil) // for its certificate
	host.StartTLS()
	defer host.Close()
	aes, err := inedo.ParseKey(strings.Repeat("0f", 16))
	if err != nil {
		panic(err)
	}
	config := &tls.Config{Certificates: host.TLS.Certificates, InsecureSkipVerify: true}
	return map[string]inedo.Options{
		"none": {Mode: inedo.ModeNone},
		"ssl":  {Mode: inedo.ModeSSL, TLS: config},
		"aes":  {Mode: inedo.ModeAES, Key: aes},
	}
})

// pair is both ends of a connection, after the handshake of the Inedo protocol.
func pair(t *testing.T, o inedo.Options, key *Key) (server, agent *Conn) {
	t.Helper()
	o.MinProtocol, o.MaxData = inedo.V2, MaxData
	near, far := net.Pipe()
	t.Cleanup(func() { near.Close(); far.Close() })
	done := make(chan error, 1)
	go func() {
		conn, err := inedo.Accept(context.Background(), far, inedo.AgentConfig{Options: o})
		agent = Agent(conn, key)
		done <- err
	}()
	conn, err := inedo.Handshake(t.Context(), near, inedo.ClientConfig{Options: o, Width: inedo.WidthWide})
	if err := errors.Join(err, <-done); err != nil {
		t.Fatal(err)
	}
	return Server(conn, key), agent
}

// meet exchanges hellos.
func meet(t *testing.T, server, agent *Conn) (*ServerHello, *AgentHello) {
	t.Helper()
	answered := make(chan error, 1)
	var ours *ServerHello
	go func() {
		var err error
		ours, err = agent.Answer(AgentHello{Agent: "agent 1", Platform: "plan9/arm"})
		answered <- err
	}()
	theirs, err := server.Greet(ServerHello{Server: "server 1", Agent: "pi"})
	if err := errors.Join(err, <-answered); err != nil {
		t.Fatal(err)
	}
	return ours, theirs
}

// pass sends a message from one end to the other.
func pass(from, to *Conn, m Message) (Message, error) {
	go from.Send(m)
	return to.Receive()
}

func TestHello(t *testing.T) {
	for mode, o := range modes() {
		for name, key := range map[string]*Key{"sealed": &testKey, "unsealed": nil} {
			t.Run(mode+", "+name, func(t *testing.T) {
				server, agent := pair(t, o, key)
				ours, theirs := meet(t, server, agent)
				if ours.Version != 1 || ours.Agent != "pi" || theirs.Version != 1 || theirs.Platform != "plan9/arm" {
					t.Errorf("got %+v and %+v", ours, theirs)
				}
				if (ours.Nonce == Nonce{}) || (theirs.Nonce == Nonce{}) || ours.Nonce == theirs.Nonce {
					t.Error("the nonces are not drawn")
				}
				for n := range int64(3) {
					if m, err := pass(server, agent, &Ping{n}); err != nil || !reflect.DeepEqual(m, &Ping{n}) {
						t.Errorf("the agent received %+v, %v", m, err)
					}
					if m, err := pass(agent, server, &Pong{n}); err != nil || !reflect.DeepEqual(m, &Pong{n}) {
						t.Errorf("the server received %+v, %v", m, err)
					}
				}
			})
		}
	}
}

// Who does not begin with a hello, or with one of no version that there was, is not met.
func TestNoHello(t *testing.T) {
	for name, first := range map[string]Message{"ping": &Ping{}, "version 0": &ServerHello{}, "unknown": &Unknown{1}} {
		server, agent := pair(t, inedo.Options{}, nil)
		go server.Send(first)
		if hello, err := agent.Answer(AgentHello{}); !errors.Is(err, ErrFirst) {
			t.Errorf("%s: %+v, %v", name, hello, err)
		}
	}
	for name, first := range map[string]Message{"pong": &Pong{}, "version 0": &AgentHello{}, "unknown": &Unknown{1}} {
		server, agent := pair(t, inedo.Options{}, nil)
		go func() { agent.Receive(); agent.Send(first) }()
		if hello, err := server.Greet(ServerHello{}); !errors.Is(err, ErrFirst) {
			t.Errorf("%s: %+v, %v", name, hello, err)
		}
	}
}

// Both ends need the same key, whichever of them has another one or none.
func TestOtherKey(t *testing.T) {
	for mode, o := range modes() {
		for name, keys := range map[string][2]*Key{
			"another": {&testKey, {9}}, "the server has none": {nil, &testKey}, "the agent has none": {&testKey, nil},
		} {
			t.Run(mode+", "+name, func(t *testing.T) {
				server, agent := pair(t, o, nil)
				server, agent = newConn(server.carrier, keys[0], fromServer), newConn(agent.carrier, keys[1], fromAgent)
				met := make(chan error, 1)
				go func() {
					_, err := agent.Answer(AgentHello{})
					agent.Close()
					met <- err
				}()
				_, greeted := server.Greet(ServerHello{})
				server.Close()
				if answered := <-met; greeted == nil || keys[1] != nil && answered == nil {
					t.Errorf("the server met it: %v, the agent: %v", greeted, answered)
				}
			})
		}
	}
}

// wiretap carries messages as they were sealed, for a test to change.
type wiretap struct {
	carrier
	sent []inedo.Message
	next []inedo.Message
}

func (w *wiretap) Send(command int32, data []byte) error {
	w.sent = append(w.sent, inedo.Message{Command: command, Data: data})
	return nil
}

func (w *wiretap) Receive() (inedo.Message, error) {
	if len(w.next) == 0 {
		return inedo.Message{}, io.EOF
	}
	m := w.next[0]
	w.next = w.next[1:]
	return m, nil
}

// tapped are both ends of a link that have met, and what each of them sends.
func tapped(t *testing.T) (server, agent *Conn, fromServer, fromAgent *wiretap) {
	t.Helper()
	server, agent = pair(t, inedo.Options{}, &testKey)
	meet(t, server, agent)
	fromServer, fromAgent = new(wiretap), new(wiretap)
	server.carrier, agent.carrier = fromServer, fromAgent
	return server, agent, fromServer, fromAgent
}

// expectRefused gives an end of a connection messages of which the last one must not be believed.
func expectRefused(t *testing.T, what string, c *Conn, tap *wiretap, messages ...inedo.Message) {
	t.Helper()
	tap.next = messages
	for range messages[1:] {
		if _, err := c.Receive(); err != nil {
			t.Errorf("%s: %v before that", what, err)
		}
	}
	if m, err := c.Receive(); !errors.Is(err, errSeal) {
		t.Errorf("%s was received: %+v, %v", what, m, err)
	}
}

func TestSeal(t *testing.T) {
	server, agent, byServer, byAgent := tapped(t)
	server.Send(&Close{1, "first"})
	server.Send(&Close{2, "second"})
	agent.Send(&Close{1, "first"})
	first, second := byServer.sent[0], byServer.sent[1]

	fresh := func() (*Conn, *wiretap) {
		tap := new(wiretap)
		c := newConn(tap, nil, agent.me)
		copied := *agent.seal
		c.seal = &copied
		return c, tap
	}
	c, tap := fresh()
	tap.next = []inedo.Message{first, second}
	for n := range int64(2) {
		if m, err := c.Receive(); err != nil || m.(*Close).Stream != n+1 {
			t.Fatalf("received %+v, %v", m, err)
		}
	}
	refused := func(what string, messages ...inedo.Message) {
		t.Helper()
		c, tap := fresh()
		expectRefused(t, what, c, tap, messages...)
	}
	refused("a message twice", first, first)
	refused("a message out of order", second)
	refused("a message from before", first, second, first)
	refused("the agent's own message", byAgent.sent[0])
	refused("the same as another command", inedo.Message{Command: codeDrain, Data: first.Data})
	refused("a message without a seal", inedo.Message{Command: codePing, Data: make([]byte, 8)})
	refused("an empty message", inedo.Message{Command: codeReload})
	for n := range first.Data {
		refused("a message cut short", inedo.Message{Command: first.Command, Data: first.Data[:n]})
	}
	for bit := range 8 * len(first.Data) {
		changed := append([]byte(nil), first.Data...)
		changed[bit/8] ^= 1 << (bit % 8)
		refused("a message with a bit that was changed", inedo.Message{Command: first.Command, Data: changed})
	}
	for bit := range 32 {
		refused("a command with a bit that was changed", inedo.Message{Command: first.Command ^ 1<<bit, Data: first.Data})
	}

	// Another link, with the same key.
	_, other, _, atOther := tapped(t)
	_ = atOther
	expectRefused(t, "a message of another link", other, atOther, first)
}

// The seal is as docs/protocols/agent.md has it.
func TestSealLayout(t *testing.T) {
	server, _, byServer, _ := tapped(t)
	server.Send(&Ping{1})
	server.Send(&Ping{2})
	data := new(Conn)
	data.carrier, data.me = byServer, fromServer
	data.Join(server, 5)
	data.Send(&Ping{3})
	for i, want := range []struct {
		number, counter uint64
		ping            byte
	}{{0, 1, 1}, {0, 2, 2}, {5, 0, 3}} {
		h := hmac.New(sha256.New, testKey[:])
		io.WriteString(h, "jackfield-agent/1\x00S")
		h.Write(server.seal.server[:])
		h.Write(server.seal.agent[:])
		binary.Write(h, binary.LittleEndian, want.number)
		h.Write([]byte{0x07, 0x00, 0x46, 0x4A})
		binary.Write(h, binary.LittleEndian, want.counter)
		h.Write([]byte{want.ping, 0, 0, 0, 0, 0, 0, 0})
		whole := binary.LittleEndian.AppendUint64(nil, want.counter)
		whole = append(whole, want.ping, 0, 0, 0, 0, 0, 0, 0)
		if got := byServer.sent[i].Data; !reflect.DeepEqual(got, h.Sum(whole)) {
			t.Errorf("sealed as %x", got)
		}
	}
}

// What was said on one connection of a link is worth nothing on another.
func TestSealOfDataConnections(t *testing.T) {
	server, agent, byServer, byAgent := tapped(t)
	numbered := func(link *Conn, me sender, n int64) (*Conn, *wiretap) {
		tap := new(wiretap)
		c := newConn(tap, nil, me)
		c.Join(link, n)
		return c, tap
	}
	first, sent := numbered(server, fromServer, 1)
	first.Send(&Attach{Number: 1})
	server.Send(&Attach{Number: 1})
	c, tap := numbered(agent, fromAgent, 1)
	tap.next = sent.sent
	if m, err := c.Receive(); err != nil || m.(*Attach).Number != 1 {
		t.Errorf("received %+v, %v", m, err)
	}
	c, tap = numbered(agent, fromAgent, 2)
	expectRefused(t, "a message of data connection 1 on 2", c, tap, sent.sent[0])
	c, tap = numbered(agent, fromAgent, 1)
	expectRefused(t, "a message of the link on a data connection", c, tap, byServer.sent[0])
	expectRefused(t, "a message of a data connection on the link", agent, byAgent, sent.sent[0])
}

// Peek shows what comes next, without believing it, and takes nothing away.
func TestPeek(t *testing.T) {
	server, agent, byServer, byAgent := tapped(t)
	server.Send(&Ping{7})
	sealed := byServer.sent[0]
	changed := append([]byte(nil), sealed.Data...)
	changed[len(changed)-1] ^= 1
	byAgent.next = []inedo.Message{sealed, {Command: sealed.Command, Data: changed}, {Command: sealed.Command}}
	for range 2 {
		if m, err := agent.Peek(); err != nil || !reflect.DeepEqual(m, &Ping{7}) {
			t.Errorf("peeked at %+v, %v", m, err)
		}
	}
	if m, err := agent.Receive(); err != nil || !reflect.DeepEqual(m, &Ping{7}) {
		t.Errorf("received %+v, %v", m, err)
	}
	if m, err := agent.Peek(); err != nil || !reflect.DeepEqual(m, &Ping{7}) {
		t.Errorf("peeked at %+v, %v", m, err)
	}
	if m, err := agent.Receive(); !errors.Is(err, errSeal) {
		t.Errorf("received %+v, %v", m, err)
	}
	if m, err := agent.Peek(); !errors.Is(err, errSeal) {
		t.Errorf("peeked at %+v, %v", m, err)
	}
}

func TestParseKey(t *testing.T) {
	text := strings.Repeat("0aF1", 16)
	for _, good := range []string{text, text + "\n", " \t" + text + "\r\n"} {
		if key, err := ParseKey(good); err != nil || key[0] != 0x0a || key[31] != 0xf1 {
			t.Errorf("%q: %v, %v", good, key[:], err)
		}
	}
	for _, bad := range []string{"", text[1:], text + "0", text[:63] + "g", strings.Repeat(" ", 64), text[:32] + " " + text[32:]} {
		if _, err := ParseKey(bad); err == nil || strings.Contains(err.Error(), "0aF1") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if (Key{1}).String() != "(secret)" {
		t.Error("a key is shown")
	}
}

func TestFrames(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	go func() {
		far.Write([]byte{8, 0, 0, 0, 7, 0, 0x46, 0x4A, 1, 0, 0, 0, 0, 0, 0, 0})
		io.WriteString(far, "and bytes")
	}()
	c := AgentData(near)
	if m, err := c.Receive(); err != nil || !reflect.DeepEqual(m, &Ping{1}) {
		t.Fatalf("received %+v, %v", m, err)
	}
	raw, err := c.Raw()
	if err != nil {
		t.Fatal(err)
	}
	rest := make([]byte, 9)
	if _, err := io.ReadFull(raw, rest); err != nil || string(rest) != "and bytes" {
		t.Errorf("then came %q, %v", rest, err)
	}
	go c.Send(&Pong{1})
	wire := make([]byte, 16)
	if _, err := io.ReadFull(far, wire); err != nil || string(wire) != "\x08\x00\x00\x00\x08\x00\x46\x4A\x01\x00\x00\x00\x00\x00\x00\x00" {
		t.Errorf("sent %x, %v", wire, err)
	}
}

func TestBadFrames(t *testing.T) {
	for name, test := range map[string]struct {
		wire string
		want error
	}{
		"nothing":          {"", io.EOF},
		"a part of a head": {"\x00\x00\x00", io.ErrUnexpectedEOF},
		"a head alone":     {"\x08\x00\x00\x00\x07\x00\x46\x4A", io.ErrUnexpectedEOF},
		"a part of data":   {"\x08\x00\x00\x00\x07\x00\x46\x4A\x01", io.ErrUnexpectedEOF},
		"negative":         {"\xff\xff\xff\xff\x07\x00\x46\x4A", inedo.ErrLength},
		"one too long":     {"\x29\x00\x01\x00\x07\x00\x46\x4A", inedo.ErrLength},
		"2 GiB":            {"\xff\xff\xff\x7f\x07\x00\x46\x4A", inedo.ErrLength},
		"data too short":   {"\x01\x00\x00\x00\x07\x00\x46\x4A\x01", inedo.ErrData},
	} {
		near, far := net.Pipe()
		go func() { io.WriteString(far, test.wire); far.Close() }()
		if m, err := AgentData(near).Receive(); !errors.Is(err, test.want) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
		near.Close()
	}
}

// turns tells when a write has begun.
type turns struct {
	net.Conn
	begun chan struct{} // has room for one
}

func (c turns) Write(p []byte) (int, error) {
	select {
	case c.begun <- struct{}{}:
	default:
	}
	return c.Conn.Write(p)
}

// Those who wait for their turn do not prolong the time of who has it.
func TestSendWithin(t *testing.T) {
	near, far := net.Pipe() // nobody reads
	defer far.Close()
	begun := make(chan struct{}, 1)
	c := ServerData(turns{near, begun})
	first := make(chan error, 1)
	go func() { first <- c.SendWithin(time.Second, &Ping{}) }()
	<-begun // it has its turn
	var others sync.WaitGroup
	var err error
	for waiting := true; waiting; {
		others.Go(func() { c.SendWithin(time.Hour, &Ping{}) })
		select {
		case err = <-first:
			waiting = false
		case <-time.After(10 * time.Millisecond):
		}
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	near.Close()
	others.Wait()
}

func TestPause(t *testing.T) {
	for without, longest := range map[time.Duration]time.Duration{
		0: 10 * time.Second, 5*time.Minute - 1: 10 * time.Second, 5 * time.Minute: time.Minute, 1000 * time.Hour: time.Minute,
	} {
		seen := time.Duration(0)
		for range 1000 {
			pause := Pause(without)
			if pause < time.Second || pause > longest {
				t.Fatalf("after %v: %v", without, pause)
			}
			seen = max(seen, pause)
		}
		if seen < longest/2 {
			t.Errorf("after %v never more than %v", without, seen)
		}
	}
}
