package e2e

import (
	"crypto/rand"
	"crypto/tls"
	"io"
	"net"
	"os"
	"regexp"
	"sync"
	"testing"
	"time"

	domain "jackfield"
	"jackfield/internal/agentd/membership"
	"jackfield/internal/api"
	"jackfield/internal/link"
	"jackfield/internal/link/chunks"
	"jackfield/internal/link/control"
	"jackfield/internal/tlsstream"
	"jackfield/test/live"
	"jackfield/wire/inedo"
)

// A played is an agent that a test plays.
type played struct {
	f       *fleet
	name    string
	member  *membership.Membership
	link    *control.Conn
	tickets chan *control.Attach // that the server has given out for streams
	ended   chan struct{}        // closed when the link is
}

// play has an agent of that name come, which offers a service of its name.
func (f *fleet) play(t *testing.T, name string) *played {
	t.Helper()
	member, err := membership.Load(f.join(t, name, ""))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", member.Address(), member.TLS("jackfield-agent/1"))
	if err != nil {
		t.Fatal(err)
	}
	below, err := inedo.Accept(t.Context(), conn, inedo.AgentConfig{Options: inedo.Options{MinProtocol: inedo.V2, MaxData: control.MaxData}})
	if err != nil {
		t.Fatal(err)
	}
	p := &played{f, name, member, control.Agent(below, nil), make(chan *control.Attach, 100), make(chan struct{})}
	if _, err := p.link.Answer(control.AgentHello{Agent: "played", Platform: "none", Clock: time.Now()}); err != nil {
		t.Fatal(err)
	}
	var receiving sync.WaitGroup
	t.Cleanup(func() {
		p.link.Close()
		receiving.Wait()
	})
	receiving.Go(p.receive)
	p.say(t, &control.Register{Services: []control.Service{{Name: name}}})
	f.awaitPublished(t, name, 1)
	return p
}

func (p *played) say(t *testing.T, m control.Message) {
	t.Helper()
	if err := p.link.Send(m); err != nil {
		t.Fatal(err)
	}
}

func (p *played) receive() {
	defer close(p.ended)
	for {
		m, err := p.link.Receive()
		if err != nil {
			return
		}
		switch m := m.(type) {
		case *control.Ping:
			p.link.Send(&control.Pong{Number: m.Number})
		case *control.Attach:
			if m.Number != 0 {
				p.tickets <- m
			}
		}
	}
}

// asked has a client ask for the agent's service, and returns it with the ticket that the agent gets.
func (p *played) asked(t *testing.T) (*client, *control.Attach) {
	t.Helper()
	c := open(t, p.f.Server, "mux")
	say(t, c, p.name+"\r\n")
	select {
	case m := <-p.tickets:
		return c, m
	case <-p.ended:
		t.Fatal("the link has ended")
	}
	return nil, nil
}

// dial opens a data connection with TLS.
func (p *played) dial(t *testing.T) domain.Stream {
	t.Helper()
	conn, err := tls.Dial("tcp", p.member.Address(), p.member.TLS("jackfield-data/1"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return tlsstream.Of(conn)
}

// dialPlain opens one without.
func (f *fleet) dialPlain(t *testing.T) domain.Stream {
	t.Helper()
	conn, err := net.Dial("tcp", f.Addresses["data"])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.(*net.TCPConn)
}

// attach shows a ticket.
func attach(t *testing.T, conn net.Conn, ticket control.Ticket) *control.Conn {
	t.Helper()
	conn.SetDeadline(time.Now().Add(live.Patience))
	data := control.AgentData(conn)
	if err := data.Send(&control.Attach{Ticket: ticket}); err != nil {
		t.Fatal(err)
	}
	return data
}

// carry wants a data connection to be asked for a stream, which it returns, and bytes to pass both ways.
func carry(t *testing.T, conn domain.Stream, ticket control.Ticket, c *client) domain.Stream {
	t.Helper()
	data := attach(t, conn, ticket)
	m, err := data.Receive()
	if err != nil {
		t.Fatal(err)
	}
	asked, ok := m.(*control.Open)
	if !ok {
		t.Fatalf("%T came first", m)
	}
	if err := data.Send(&control.OpenResult{Stream: asked.Stream}); err != nil {
		t.Fatal(err)
	}
	expect(t, c, "+\r\n")
	if encrypted, ok := conn.(*tlsstream.Stream); ok {
		conn = chunks.New(encrypted)
	}
	pass(t, conn, c)
	return conn
}

func pass(t *testing.T, conn net.Conn, c *client) {
	t.Helper()
	say(t, c, "ping")
	heard := make([]byte, 4)
	if _, err := io.ReadFull(conn, heard); err != nil || string(heard) != "ping" {
		t.Errorf("the agent hears %q, %v", heard, err)
	}
	io.WriteString(conn, "pong")
	expect(t, c, "pong")
}

// expectUnwanted wants the server to close a connection without a word.
func expectUnwanted(t *testing.T, conn net.Conn) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(live.Patience))
	if n, err := conn.Read(make([]byte, 1)); n > 0 || err == nil || os.IsTimeout(err) {
		t.Errorf("the server sends %d bytes, %v", n, err)
	}
}

// TestAgentTickets: a ticket is good once, for the agent that it was given to, and on the kind of connection that it is for. Who comes
// with another is closed without a word, which disturbs nobody.
func TestAgentTickets(t *testing.T) {
	t.Parallel()
	f := newFleet(t, fleetConfig)
	edge, mallory, plain := f.play(t, "edge"), f.play(t, "mallory"), f.play(t, "plain-edge")
	refused := func(n int) {
		t.Helper()
		f.field().awaitLines(t, n, live.Equal("msg", "data connection refused"), live.Match("error", regexp.MustCompile("^the ticket is not good")))
	}

	c, used := edge.asked(t)
	stream := carry(t, edge.dial(t), used.Ticket, c)
	for n, again := range []domain.Stream{edge.dial(t), mallory.dial(t), f.dialPlain(t)} {
		attach(t, again, used.Ticket)
		expectUnwanted(t, again)
		refused(n + 1)
	}
	for n, guessing := range []domain.Stream{edge.dial(t), mallory.dial(t), f.dialPlain(t)} {
		var guess control.Ticket
		rand.Read(guess[:])
		attach(t, guessing, guess)
		expectUnwanted(t, guessing)
		refused(3 + n + 1)
	}
	pass(t, stream, c)
	stream.CloseWrite()
	c.CloseWrite()
	expectEnd(t, c, "FIN")

	// Somebody else's ticket: neither has a stream.
	for n, foreign := range []domain.Stream{mallory.dial(t), f.dialPlain(t)} {
		c, ticket := edge.asked(t)
		attach(t, foreign, ticket.Ticket)
		expectUnwanted(t, foreign)
		refused(6 + n + 1)
		expect(t, c, "-the agent cannot be reached [")
		late := edge.dial(t)
		attach(t, late, ticket.Ticket)
		expectUnwanted(t, late)
	}

	c, ticket := plain.asked(t)
	stream = carry(t, f.dialPlain(t), ticket.Ticket, c)
	again := f.dialPlain(t)
	attach(t, again, ticket.Ticket)
	expectUnwanted(t, again)
	pass(t, stream, c)

	for name, bytes := range map[string]string{
		"nothing": "", "a length of 2 GiB": "\xff\xff\xff\x7f\x0c\x00\x46\x4a", "a negative length": "\xff\xff\xff\xff\x0c\x00\x46\x4a",
		"half a ticket": "\x18\x00\x00\x00\x0c\x00\x46\x4a1234567", "another message": "\x00\x00\x00\x00\x07\x00\x46\x4a",
	} {
		t.Run(name, func(t *testing.T) {
			for _, conn := range []domain.Stream{edge.dial(t), f.dialPlain(t)} {
				io.WriteString(conn, bytes)
				conn.CloseWrite()
				expectUnwanted(t, conn)
			}
		})
	}
	pass(t, stream, c)
}

// TestAgentAnswersUnasked: an agent that answers what it was not asked loses the link, or the stream.
func TestAgentAnswersUnasked(t *testing.T) {
	t.Parallel()
	f := newFleet(t, fleetConfig)
	odd := f.play(t, "odd")
	c, ticket := odd.asked(t)
	data := attach(t, odd.dial(t), ticket.Ticket)
	if _, err := data.Receive(); err != nil {
		t.Fatal(err)
	}
	data.Send(&control.OpenResult{Stream: 4711})
	expect(t, c, "-the agent cannot be reached [")
	f.awaitState(t, "odd", api.AgentLinked)
	odd.say(t, &control.Close{Stream: 4711, Reason: "never asked"})
	odd.say(t, &control.TunnelResult{Number: 4711})
	odd.say(t, &control.Pong{Number: 4711})
	f.await(t, "odd", func(a *api.Agent) bool { return a.Latency > 0 })
	odd.say(t, &control.OpenResult{Stream: 4711})
	<-odd.ended
	f.awaitState(t, "odd", api.AgentAway)
	f.refuses(t, "odd", "service not available")
}

// TestAgentIdleData: data connections that never say anything harm nobody, and are closed. There are some hundreds, ten thousand where
// $JACKFIELD_SOAK is set.
func TestAgentIdleData(t *testing.T) {
	t.Parallel()
	f := newFleet(t, fleetConfig)
	f.agent(t, "bystander", echoOffer(t, "echo"))
	edge := f.play(t, "edge")
	f.echoes(t, "echo")
	descriptors := countDescriptors(t, f.Server)
	idle, begun := idleWithin(t, live.Times(300, 10000)), time.Now()
	for n := range idle {
		if n%4 == 0 {
			edge.dial(t)
		} else {
			f.dialPlain(t)
		}
		if n%(idle/10) == 0 {
			f.echoes(t, "echo")
		}
	}
	f.echoes(t, "echo")
	if !eventually(func() bool { return countDescriptors(t, f.Server) <= descriptors+link.MaxReady }) {
		t.Errorf("%d descriptors were open, now there are %d", descriptors, countDescriptors(t, f.Server))
	}
	f.echoes(t, "echo")
	const linesAtOnce = 100 // of each listener; then it is one in ten seconds
	told := []live.Test{live.Equal("msg", "data connection refused"), live.Equal("error", "it brought no ticket in time")}
	f.field().awaitLines(t, min(idle, linesAtOnce), told...)
	if n, most := len(live.Select(f.Output(), told...)), 2*(linesAtOnce+int(time.Since(begun)/(10*time.Second))+1); n > most {
		t.Errorf("%d connections have made %d lines, and not %d at most", idle, n, most)
	}
	f.awaitState(t, "edge", api.AgentLinked)
}
