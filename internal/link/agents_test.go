package link

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"jackfield"
	"jackfield/internal/link/control"
)

// hearing is what agents say to.
type hearing struct {
	mu         sync.Mutex
	events     []string
	registered func() // nil: nothing
}

func (h *hearing) note(event string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, event)
}

func (h *hearing) noted() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.events)
}

func (h *hearing) Arrived(*AgentLink) { h.note("arrived") }

func (h *hearing) Registered(_ *AgentLink, services []control.Service) []control.Published {
	var names []string
	var all []control.Published
	for _, s := range services {
		names = append(names, s.Name)
		all = append(all, control.Published{Name: s.Name, Reason: s.Description})
	}
	h.note("registered " + strings.Join(names, " "))
	if h.registered != nil {
		h.registered()
	}
	return all
}

func (h *hearing) Renew(_ *AgentLink, r *control.Renew) *control.Renewed {
	return &control.Renewed{Problem: "no " + r.Request}
}

func (h *hearing) Unknown(_ *AgentLink, code int32) { h.note("unknown") }
func (h *hearing) Left(*AgentLink)                  { h.note("left") }

// pipe is a connection in memory that can carry a stream.
type pipe struct{ net.Conn }

func (pipe) CloseWrite() error { return nil }

func newPipe() (near, far pipe) {
	a, b := net.Pipe()
	return pipe{a}, pipe{b}
}

// An agentEnd is an agent's end of its link. What the server says to it is in said, but for pings, which it answers.
type agentEnd struct {
	*control.Conn
	agents  *Agents
	name    string
	said    chan control.Message
	ended   chan error // why the server has ended the link
	hearing *hearing
}

// come brings the link of an agent up.
func come(t *testing.T, a *Agents, arrival AgentArrival) *agentEnd {
	t.Helper()
	e := comeMute(t, a, arrival)
	go func() {
		defer close(e.said)
		for {
			m, err := e.Receive()
			if err != nil {
				return
			}
			if ping, is := m.(*control.Ping); is {
				go e.Send(&control.Pong{Number: ping.Number}) // the pipe has no room
				continue
			}
			e.said <- m
		}
	}()
	return e
}

// comeMute is come for an agent that does not read.
func comeMute(t *testing.T, a *Agents, arrival AgentArrival) *agentEnd {
	t.Helper()
	near, far := newPipe()
	t.Cleanup(func() { near.Close(); far.Close() })
	arrival.Agent = "pi"
	arrival.Hello = new(control.AgentHello)
	e := &agentEnd{
		Conn: control.AgentData(far), agents: a, name: arrival.Agent, said: make(chan control.Message, 100), ended: make(chan error, 1), hearing: new(hearing),
	}
	before := a.Link(arrival.Agent)
	go func() { e.ended <- a.Serve(context.Background(), arrival, control.ServerData(near), e.hearing) }()
	for a.Link(arrival.Agent) == before {
		time.Sleep(time.Millisecond)
	}
	return e
}

// attach is the agent's answer to attach: it connects. What Attach returns comes from ended.
func (e *agentEnd) attach(ticket control.Ticket, as string) (conn *control.Conn, ended <-chan error) {
	near, far := newPipe()
	done := make(chan error, 1)
	go func() { done <- e.agents.Attach(ticket, as, control.ServerData(near)) }()
	return control.AgentData(far), done
}

// asked waits for the next message of a type.
func asked[M control.Message](t *testing.T, e *agentEnd) M {
	t.Helper()
	for m := range e.said {
		if m, is := m.(M); is {
			return m
		}
	}
	t.Fatalf("the link ended: %v", <-e.ended)
	panic("not reached")
}

// opening is a stream that is being opened.
type opening struct {
	stream jackfield.Stream
	err    error
}

func (e *agentEnd) open(ctx context.Context) <-chan opening {
	result := make(chan opening, 1)
	go func() {
		stream, err := e.agents.Open(ctx, "pi", control.Open{Service: "ssh"})
		result <- opening{stream, err}
	}()
	return result
}

// accept answers open.
func accept(t *testing.T, conn *control.Conn) {
	t.Helper()
	m, err := conn.Receive()
	open, is := m.(*control.Open)
	if !is || open.Service != "ssh" {
		t.Fatalf("received %+v, %v", m, err)
	}
	if err := conn.Send(&control.OpenResult{Stream: open.Stream}); err != nil {
		t.Fatal(err)
	}
}

// forStream waits for the attach that a stream waits for; ready are the tickets of those to be kept.
func (e *agentEnd) forStream(t *testing.T) (wanted *control.Attach, ready *control.Attach) {
	t.Helper()
	for wanted == nil || ready == nil {
		if a := asked[*control.Attach](t, e); a.Number == 0 {
			ready = a
		} else {
			wanted = a
		}
	}
	return wanted, ready
}

// isEnd says whether an error is the agent's end of the pipe: who reads sees another one than who writes.
func isEnd(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) }

func expectClosed(t *testing.T, conn *control.Conn) {
	t.Helper()
	if m, err := conn.Receive(); !errors.Is(err, io.EOF) {
		t.Errorf("received %+v, %v; want the end", m, err)
	}
}

func TestAgentPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAgents()
		e := come(t, a, AgentArrival{})
		time.Sleep(time.Hour + control.PingInterval/2) // no ping is under way then
		if l := a.Link("pi"); l == nil || l.State().Latency != 0 || l.State().Since.IsZero() {
			t.Errorf("the link is gone, or has %+v", l)
		}
		e.Close()
		if err := <-e.ended; !isEnd(err) {
			t.Errorf("it ended by %v", err)
		}
		if a.Link("pi") != nil {
			t.Error("it is still there")
		}
		if got := e.hearing.noted(); !slices.Equal(got, []string{"arrived", "left"}) {
			t.Errorf("told %q", got)
		}
		if _, err := a.Open(t.Context(), "pi", control.Open{}); !errors.Is(err, ErrNotConnected) {
			t.Errorf("Open without a link: %v", err)
		}
	})
}

func TestSilentAgent(t *testing.T) {
	for name, reads := range map[string]bool{"answers nothing": true, "does not read": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := NewAgents()
				begin := time.Now()
				e := comeMute(t, a, AgentArrival{})
				if reads {
					go io.Copy(io.Discard, rawOf(t, e.Conn))
				}
				if err := <-e.ended; !errors.Is(err, ErrAgentSilent) || time.Since(begin) > 16*time.Second {
					t.Errorf("it ended by %v after %v", err, time.Since(begin))
				}
			})
		})
	}
}

func rawOf(t *testing.T, c *control.Conn) net.Conn {
	t.Helper()
	raw, err := c.Raw()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestAgentComesAnew(t *testing.T) {
	a := NewAgents()
	first := come(t, a, AgentArrival{ID: "1"})
	waiting := first.open(t.Context())
	asked[*control.Attach](t, first)
	second := come(t, a, AgentArrival{ID: "2"})
	if err := <-first.ended; !errors.Is(err, ErrAgentAnew) {
		t.Errorf("the old link ended by %v", err)
	}
	if o := <-waiting; !errors.Is(o.err, ErrAgentAnew) {
		t.Errorf("who waited for a connection of it got %v", o.err)
	}
	if l := a.Link("pi"); l == nil || l.ID != "2" {
		t.Errorf("the link is %+v", l)
	}
	if links := a.Links(); len(links) != 1 {
		t.Errorf("there are %d", len(links))
	}
	why := errors.New("not any more")
	a.Cut(func(*AgentLink) error { return nil })
	a.Cut(func(l *AgentLink) error { return why })
	if err := <-second.ended; !errors.Is(err, why) {
		t.Errorf("the new one ended by %v", err)
	}
}

func TestAgentMisbehaves(t *testing.T) {
	for name, m := range map[string]control.Message{
		"open result": &control.OpenResult{Stream: 1}, "attach": &control.Attach{}, "hello": &control.AgentHello{},
		"too many services": &control.Register{Services: make([]control.Service, control.MaxServices+1)},
	} {
		e := come(t, NewAgents(), AgentArrival{})
		e.Send(m)
		if err := <-e.ended; err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%s: the link ended by %v", name, err)
		}
	}
	// What nobody has asked for, or nobody knows, is nothing.
	e := come(t, NewAgents(), AgentArrival{})
	for _, m := range []control.Message{
		&control.Status{}, &control.Reloaded{Problem: "x"}, &control.TunnelResult{Number: 5}, &control.Close{Stream: 9}, &control.Close{},
		&control.Pong{Number: 77}, &control.Unknown{Command: 0x4A46FFFF}, &control.Register{Services: []control.Service{{Name: "ssh", Description: "no"}}},
	} {
		e.Send(m)
	}
	if m := asked[*control.Registered](t, e); len(m.Services) != 1 || m.Services[0] != (control.Published{Name: "ssh", Reason: "no"}) {
		t.Errorf("registered %+v", m)
	}
	if got := e.hearing.noted(); !slices.Equal(got, []string{"arrived", "unknown", "registered ssh"}) {
		t.Errorf("told %q", got)
	}
	l := e.agents.Link("pi")
	if !l.Offers("ssh") || l.Offers("telnet") {
		t.Error("it offers something else")
	}
	if s := l.State(); len(s.Offered) != 1 || len(s.Published) != 1 || s.Published[0].Reason != "no" {
		t.Errorf("the state is %+v", s)
	}
	e.Send(&control.Renew{Request: "csr"})
	if m := asked[*control.Renewed](t, e); m.Problem != "no csr" {
		t.Errorf("renewed %+v", m)
	}
}

func TestTickets(t *testing.T) {
	for name, test := range map[string]struct {
		plain bool
		as    string
		good  bool
	}{
		"TLS":                      {false, "pi", true},
		"TLS by another agent":     {false, "other", false},
		"plain where TLS is asked": {false, "", false},
		"plain":                    {true, "", true},
		"TLS where plain is asked": {true, "pi", true},
		"plain by another agent":   {true, "other", false},
	} {
		t.Run(name, func(t *testing.T) {
			e := come(t, NewAgents(), AgentArrival{Plain: test.plain})
			waiting := e.open(t.Context())
			wanted, _ := e.forStream(t)
			conn, ended := e.attach(wanted.Ticket, test.as)
			defer conn.Close()
			if !test.good {
				if err := <-ended; !errors.Is(err, ErrTicket) {
					t.Errorf("got %v", err)
				}
				expectClosed(t, conn)
				if o := <-waiting; o.err == nil {
					t.Error("the stream was opened")
				}
				return
			}
			accept(t, conn)
			o := <-waiting
			if o.err != nil {
				t.Fatal(o.err)
			}
			again, twice := e.attach(wanted.Ticket, test.as)
			if err := <-twice; !errors.Is(err, ErrTicket) {
				t.Errorf("used twice: %v", err)
			}
			expectClosed(t, again)
			guessed, guess := e.attach(control.Ticket{1}, test.as)
			if err := <-guess; !errors.Is(err, ErrTicket) {
				t.Errorf("guessed: %v", err)
			}
			expectClosed(t, guessed)
			o.stream.Close()
			o.stream.Close()
			if err := <-ended; err != nil {
				t.Errorf("Attach returned %v", err)
			}
			if s := e.agents.Link("pi").State(); s.Open != 0 || s.Opened != 1 {
				t.Errorf("the state is %+v", s)
			}
		})
	}
}

// A ticket is good for TicketTime, and not when its link has ended.
func TestTicketsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAgents()
		e := come(t, a, AgentArrival{})
		waiting := e.open(t.Context())
		wanted, ready := e.forStream(t)
		begin := time.Now()
		if o := <-waiting; o.err == nil || time.Since(begin) > TicketTime {
			t.Errorf("got %v after %v", o.err, time.Since(begin))
		}
		synctest.Wait()
		for _, ticket := range []control.Ticket{wanted.Ticket, ready.Ticket} {
			_, late := e.attach(ticket, "pi")
			if err := <-late; !errors.Is(err, ErrTicket) {
				t.Errorf("after its time: %v", err)
			}
		}
		waiting = e.open(t.Context())
		wanted, _ = e.forStream(t)
		e.Close()
		<-e.ended
		if o := <-waiting; !isEnd(o.err) {
			t.Errorf("who waited got %v", o.err)
		}
		_, late := e.attach(wanted.Ticket, "pi")
		if err := <-late; !errors.Is(err, ErrTicket) {
			t.Errorf("after the end of the link: %v", err)
		}
		if len(a.tickets) > 0 {
			t.Errorf("%d tickets are left", len(a.tickets))
		}
	})
}

func TestOpenAnswers(t *testing.T) {
	for name, test := range map[string]struct {
		answer func(*control.Conn, *control.Open)
		want   string
	}{
		"another stream": {func(c *control.Conn, o *control.Open) { c.Send(&control.OpenResult{Stream: o.Stream + 1}) }, "something else"},
		"another type":   {func(c *control.Conn, o *control.Open) { c.Send(&control.Close{Stream: o.Stream}) }, "something else"},
		"its end":        {func(c *control.Conn, _ *control.Open) { c.Close() }, "broken"},
		"a refusal": {func(c *control.Conn, o *control.Open) {
			c.Send(&control.OpenResult{Stream: o.Stream, Kind: jackfield.Denied, Sentence: "no\n\x1b[31m" + strings.Repeat("é", 200)})
		}, "no[31m" + strings.Repeat("é", 97) + "…"},
		"a refusal without a word": {func(c *control.Conn, o *control.Open) { c.Send(&control.OpenResult{Stream: o.Stream, Kind: "odd"}) }, "does not say why"},
	} {
		t.Run(name, func(t *testing.T) {
			e := come(t, NewAgents(), AgentArrival{})
			waiting := e.open(t.Context())
			wanted, _ := e.forStream(t)
			conn, ended := e.attach(wanted.Ticket, "pi")
			m, err := conn.Receive()
			open, is := m.(*control.Open)
			if !is {
				t.Fatalf("received %+v, %v", m, err)
			}
			go test.answer(conn, open)
			o := <-waiting
			if o.stream != nil || o.err == nil || !strings.Contains(o.err.Error(), test.want) {
				t.Errorf("got %v, want %s", o.err, test.want)
			}
			if refusal := new(jackfield.Error); errors.As(o.err, &refusal) && refusal.Kind != jackfield.Denied && refusal.Kind != jackfield.Internal {
				t.Errorf("the kind is %s", refusal.Kind)
			}
			<-ended
			if e.agents.Link("pi") == nil {
				t.Error("the link has ended")
			}
		})
	}
}

// An agent that does not answer in time leaves nothing behind, whatever the stream waits for.
func TestOpenTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := come(t, NewAgents(), AgentArrival{})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		waiting := e.open(ctx)
		wanted, _ := e.forStream(t)
		conn, ended := e.attach(wanted.Ticket, "pi")
		if m, err := conn.Receive(); err != nil || m.(*control.Open).Within != 3*time.Second {
			t.Errorf("received %+v, %v", m, err)
		}
		if o := <-waiting; !errors.Is(o.err, context.DeadlineExceeded) {
			t.Errorf("on its connection: %v", o.err)
		}
		<-ended
		expectClosed(t, conn)

		why := errors.New("changed my mind")
		cancelled, stop := context.WithCancelCause(t.Context())
		waiting = e.open(cancelled)
		wanted = nil
		for wanted == nil || wanted.Number == 0 {
			wanted = asked[*control.Attach](t, e)
		}
		stop(why)
		if o := <-waiting; !errors.Is(o.err, why) {
			t.Errorf("without a connection: %v", o.err)
		}
		if m := asked[*control.Close](t, e); m.Stream != wanted.Number {
			t.Errorf("closed %d, not %d", m.Stream, wanted.Number)
		}
		// The connection comes all the same, and is kept for the next one.
		conn, _ = e.attach(wanted.Ticket, "pi")
		synctest.Wait()
		if s := e.agents.Link("pi").State(); s.Ready != 1 {
			t.Errorf("the state is %+v", s)
		}
		waiting = e.open(t.Context())
		accept(t, conn)
		if o := <-waiting; o.err != nil {
			t.Error(o.err)
		} else {
			o.stream.Close()
		}
	})
}

// A connection that comes when nobody needs it any more is closed.
func TestLateConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := come(t, NewAgents(), AgentArrival{})
		ctx, cancel := context.WithCancel(t.Context())
		waiting := e.open(ctx)
		wanted, _ := e.forStream(t)
		cancel()
		<-waiting
		e.Send(&control.Drain{})
		asked[*control.Close](t, e)
		synctest.Wait()
		conn, ended := e.attach(wanted.Ticket, "pi")
		if err := <-ended; err != nil {
			t.Error(err)
		}
		expectClosed(t, conn)
		if s := e.agents.Link("pi").State(); s.Draining == "" || s.Ready != 0 {
			t.Errorf("the state is %+v", s)
		}
		if o := <-e.open(t.Context()); !errors.Is(o.err, ErrAgentDraining) {
			t.Errorf("a new stream: %v", o.err)
		}
	})
}

// kept has an agent connect for a stream, and then n connections that are kept ready.
func (e *agentEnd) kept(t *testing.T, n int) []*control.Conn {
	t.Helper()
	e.agents.Link("pi").mu.Lock()
	e.agents.Link("pi").pool.wanted = n - 1
	e.agents.Link("pi").mu.Unlock()
	waiting := e.open(t.Context())
	var first *control.Attach
	var ahead []*control.Attach
	for first == nil || len(ahead) < n {
		if a := asked[*control.Attach](t, e); a.Number == 0 {
			ahead = append(ahead, a)
		} else {
			first = a
		}
	}
	conn, _ := e.attach(first.Ticket, "pi")
	accept(t, conn)
	o := <-waiting
	if o.err != nil {
		t.Fatal(o.err)
	}
	o.stream.Close()
	var ready []*control.Conn
	for _, a := range ahead {
		conn, _ := e.attach(a.Ticket, "pi")
		ready = append(ready, conn)
	}
	for e.agents.Link("pi").State().Ready < n {
		time.Sleep(time.Millisecond)
	}
	return ready
}

// Connections that broke while they were kept ready are passed over.
func TestStaleConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := come(t, NewAgents(), AgentArrival{})
		ready := e.kept(t, 3)
		ready[0].Close()
		ready[2].Close()
		synctest.Wait()
		waiting := e.open(t.Context())
		accept(t, ready[1])
		if o := <-waiting; o.err != nil {
			t.Error(o.err)
		} else {
			o.stream.Close()
		}
	})
}

// The pool shrinks when nothing is opened, and the agent is told nothing of it.
func TestPoolShrinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := come(t, NewAgents(), AgentArrival{})
		ready := e.kept(t, 8)
		time.Sleep(10 * time.Minute)
		for _, conn := range ready {
			expectClosed(t, conn)
		}
		if s := e.agents.Link("pi").State(); s.Ready != 0 {
			t.Errorf("the state is %+v", s)
		}
	})
}

// The end of the link is the end of the connections that are kept ready, and of Attach.
func TestReadyEndsWithLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := come(t, NewAgents(), AgentArrival{})
		ready := e.kept(t, 4)
		e.Close()
		<-e.ended
		for _, conn := range ready {
			expectClosed(t, conn)
		}
	})
}

func TestAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := come(t, NewAgents(), AgentArrival{})
		l := e.agents.Link("pi")
		answers := make(chan error, 2)
		go func() { answers <- l.Reload(t.Context()) }()
		asked[*control.Reload](t, e)
		if err := l.Reload(t.Context()); !errors.Is(err, ErrAsked) {
			t.Errorf("asked twice: %v", err)
		}
		e.Send(&control.Reloaded{Problem: "line 3"})
		if err := <-answers; err == nil || err.Error() != "line 3" {
			t.Errorf("the answer is %v", err)
		}
		for _, problem := range []string{"", "no"} { // the answers are told apart by their numbers
			go func() { answers <- l.Tunnel(t.Context(), control.Tunnel{LocalPort: 22}) }()
			go func() { answers <- l.Tunnel(t.Context(), control.Tunnel{LocalPort: 23}) }()
			for range 2 {
				m := asked[*control.Tunnel](t, e)
				e.Send(&control.TunnelResult{Number: m.Number, Problem: problem})
			}
			for range 2 {
				if err := <-answers; (err == nil) != (problem == "") {
					t.Errorf("%q became %v", problem, err)
				}
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := l.Status(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("without an answer: %v", err)
		}
		go func() {
			status, err := l.Status(t.Context())
			if err == nil && status.Opened != 5 {
				err = errors.New("another answer")
			}
			answers <- err
		}()
		asked[*control.StatusQuery](t, e)
		asked[*control.StatusQuery](t, e)
		e.Send(&control.Status{Opened: 5})
		if err := <-answers; err != nil {
			t.Error(err)
		}
		go func() { answers <- l.Reload(t.Context()) }()
		asked[*control.Reload](t, e)
		e.Close()
		if err := <-answers; !isEnd(err) {
			t.Errorf("at the end of the link: %v", err)
		}
		if err := l.Reload(t.Context()); err == nil {
			t.Error("after it there was an answer")
		}
		if len(l.answers) > 0 {
			t.Errorf("%d questions are left", len(l.answers))
		}
	})
}

// Whoever asks is answered, or is told that somebody else has asked.
func TestAskOften(t *testing.T) {
	e := come(t, NewAgents(), AgentArrival{})
	go func() {
		for m := range e.said {
			if _, is := m.(*control.StatusQuery); is {
				e.Send(&control.Status{})
			}
		}
	}()
	l := e.agents.Link("pi")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 200 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				if _, err := l.Status(ctx); err != nil && !errors.Is(err, ErrAsked) {
					t.Error(err)
				}
				cancel()
			}
		})
	}
	all.Wait()
	e.Close()
	<-e.ended
}

// A slow agent keeps nobody waiting who publishes, and nothing is registered once it has left.
func TestPublish(t *testing.T) {
	e := comeMute(t, NewAgents(), AgentArrival{})
	l := e.agents.Link("pi")
	e.hearing.registered = func() { e.Close() }
	for range 10 {
		l.Publish()
	}
	<-e.ended
	l.Publish()
	l.publishing.Lock()
	defer l.publishing.Unlock()
	if got := e.hearing.noted(); got[len(got)-1] != "left" {
		t.Errorf("told %q", got)
	}
}

func TestWatchAgents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAgents()
		ctx, stop := context.WithCancel(t.Context())
		told := 0
		a.Watch(ctx, func() { told++ })
		synctest.Wait()
		expect := func(n int, what string) {
			t.Helper()
			synctest.Wait()
			if told != n {
				t.Errorf("told %d times %s", told, what)
			}
		}
		expect(1, "at the beginning")
		e := come(t, a, AgentArrival{})
		expect(2, "when an agent has come")
		e.Send(&control.Register{})
		expect(3, "when it has registered")
		e.Send(&control.Drain{})
		expect(4, "when it drains")
		e.Close()
		<-e.ended
		expect(5, "when it has gone")
		stop()
		synctest.Wait()
		if len(a.watchers.all) != 0 {
			t.Error("who watches no more is not forgotten")
		}
	})
}

// An inbound agent is dialled for data.
func TestDialForData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		unreachable := errors.New("unreachable")
		dialled := make(chan pipe, 100)
		var fail error
		e := come(t, NewAgents(), AgentArrival{Dial: func(context.Context) (*control.Conn, error) {
			if fail != nil {
				return nil, fail
			}
			near, far := newPipe()
			dialled <- far
			return control.ServerData(near), nil
		}})
		waiting := e.open(t.Context())
		numbers := map[int64]bool{}
		var ready []*control.Conn
		for range 2 {
			conn := control.AgentData(<-dialled)
			m, err := conn.Receive()
			if err != nil {
				t.Fatal(err)
			}
			numbers[m.(*control.Attach).Number] = true
			ready = append(ready, conn)
		}
		if !numbers[1] || !numbers[2] {
			t.Errorf("the numbers are %v", numbers)
		}
		for _, conn := range ready { // either may get it
			go func() {
				if m, err := conn.Receive(); err == nil {
					conn.Send(&control.OpenResult{Stream: m.(*control.Open).Stream})
				}
			}()
		}
		o := <-waiting
		if o.err != nil {
			t.Fatal(o.err)
		}
		if link := o.stream.(jackfield.Linked).Link(); link.Err() != nil {
			t.Error("its link has ended")
		}
		o.stream.Close()

		fail = unreachable
		synctest.Wait()
		for range 2 { // the first one gets what is ready
			if o = <-e.open(t.Context()); o.stream != nil {
				o.stream.Close()
			}
		}
		if !errors.Is(o.err, unreachable) {
			t.Errorf("got %v", o.err)
		}
	})
}

func TestControlOnly(t *testing.T) {
	e := come(t, NewAgents(), AgentArrival{NoStreams: true})
	if o := <-e.open(t.Context()); o.err == nil {
		t.Error("a stream was opened")
	}
}
