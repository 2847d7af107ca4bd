package link

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"jackfield"
	"jackfield/internal/link/chunks"
	"jackfield/internal/link/control"
	"jackfield/internal/tlsstream"
)

// encryption is what both ends of a data connection with TLS need.
var encryption = sync.OnceValue(func() *tls.Config {
	host := httptest.NewUnstartedServer(nil) // for its certificate
	host.StartTLS()
	defer host.Close()
	return &tls.Config{
		Certificates: host.TLS.Certificates, InsecureSkipVerify: true,
		SessionTicketsDisabled: true, // nobody would read one from the pipe
	}
})

// A dataEnd is the agent's end of a data connection with TLS.
type dataEnd struct {
	*control.Conn
	below *tls.Conn
	ended <-chan error
}

// attachTLS is attach, with TLS.
func (e *agentEnd) attachTLS(ticket control.Ticket) *dataEnd {
	near, far := newPipe()
	ended := make(chan error, 1)
	below := tls.Client(far, encryption())
	go func() { ended <- e.agents.Attach(ticket, "pi", control.ServerData(tls.Server(near, encryption()))) }()
	return &dataEnd{control.AgentData(below), below, ended}
}

// stream is the agent's end of the stream that the connection carries now.
func (d *dataEnd) stream() *chunks.Stream { return chunks.New(tlsstream.Of(d.below)) }

// opened opens a stream on a connection with TLS.
func (e *agentEnd) opened(t *testing.T) (*dataEnd, jackfield.Stream) {
	t.Helper()
	waiting := e.open(t.Context())
	wanted, _ := e.forStream(t)
	d := e.attachTLS(wanted.Ticket)
	accept(t, d.Conn)
	o := <-waiting
	if o.err != nil {
		t.Fatal(o.err)
	}
	return d, o.stream
}

// over ends a stream in order, by both sides.
func (d *dataEnd) over(t *testing.T, s jackfield.Stream) {
	t.Helper()
	bare := s.(jackfield.Linked).Bare()
	far := d.stream()
	var both sync.WaitGroup
	both.Go(func() {
		io.WriteString(bare, "question")
		bare.CloseWrite()
		if answer, err := io.ReadAll(bare); string(answer) != "answer" || err != nil {
			t.Errorf("the server read %q, %v", answer, err)
		}
	})
	both.Go(func() {
		if question, err := io.ReadAll(far); string(question) != "question" || err != nil {
			t.Errorf("the agent read %q, %v", question, err)
		}
		io.WriteString(far, "answer")
		far.CloseWrite()
	})
	both.Wait()
	s.Close()
	s.Close()
	if far.Close(); !far.Whole() {
		t.Error("the stream is not whole at the agent")
	}
	d.SetDeadline(time.Time{})
}

// A connection with TLS carries one stream after the other, once the agent says that it is ready.
func TestConnectionIsUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := come(t, NewAgents(), AgentArrival{})
		d, s := e.opened(t)
		for n := range int64(5) {
			d.over(t, s)
			synctest.Wait()
			if state := e.agents.Link("pi").State(); state.Ready != 0 || state.Open != 0 {
				t.Errorf("before the agent is ready, the state is %+v", state)
			}
			time.Sleep(readyTimeout - time.Second) // what the service takes
			d.Send(&control.Ready{Stream: n + 1})
			synctest.Wait()
			if state := e.agents.Link("pi").State(); state.Ready != 1 {
				t.Errorf("the state is %+v", state)
			}
			time.Sleep(readyTimeout) // which is over
			waiting := e.open(t.Context())
			accept(t, d.Conn)
			o := <-waiting
			if o.err != nil {
				t.Fatal(o.err)
			}
			s = o.stream
		}
		s.Close() // within the stream
		if err := <-d.ended; err != nil {
			t.Error(err)
		}
	})
}

// A refusal costs no connection.
func TestConnectionAfterRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := come(t, NewAgents(), AgentArrival{})
		waiting := e.open(t.Context())
		wanted, _ := e.forStream(t)
		d := e.attachTLS(wanted.Ticket)
		m, err := d.Receive()
		if err != nil {
			t.Fatal(err)
		}
		stream := m.(*control.Open).Stream
		d.Send(&control.OpenResult{Stream: stream, Kind: jackfield.Denied, Sentence: "no"})
		d.Send(&control.Ready{Stream: stream})
		if o := <-waiting; jackfield.AsError(o.err).Message != "no" {
			t.Errorf("got %v", o.err)
		}
		synctest.Wait()
		waiting = e.open(t.Context())
		accept(t, d.Conn)
		o := <-waiting
		if o.err != nil {
			t.Fatal(o.err)
		}
		d.over(t, o.stream)
		d.below.NetConn().Close()
		<-d.ended
	})
}

// After a stream, a connection that is not in order is closed, and the next stream gets another one.
func TestConnectionIsNotUsedAgain(t *testing.T) {
	for name, after := range map[string]func(*testing.T, *agentEnd, *dataEnd, jackfield.Stream){
		"reset": func(_ *testing.T, _ *agentEnd, d *dataEnd, s jackfield.Stream) {
			d.below.NetConn().Close()
			if _, err := s.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
				panic("the stream ended in order")
			}
			s.Close()
		},
		"half ended": func(_ *testing.T, _ *agentEnd, d *dataEnd, s jackfield.Stream) {
			go d.stream().CloseWrite()
			io.ReadAll(s)
			s.Close()
		},
		"ready for another stream": func(t *testing.T, _ *agentEnd, d *dataEnd, s jackfield.Stream) {
			d.over(t, s)
			d.Send(&control.Ready{Stream: 2})
		},
		"something else": func(t *testing.T, _ *agentEnd, d *dataEnd, s jackfield.Stream) {
			d.over(t, s)
			d.Send(&control.Pong{})
		},
		"never ready": func(t *testing.T, _ *agentEnd, d *dataEnd, s jackfield.Stream) { d.over(t, s) },
		"the link ends": func(t *testing.T, e *agentEnd, d *dataEnd, s jackfield.Stream) {
			d.over(t, s)
			e.agents.Link("pi").Cut(errors.New("test"))
		},
		"the agent drains": func(t *testing.T, e *agentEnd, d *dataEnd, s jackfield.Stream) {
			e.Send(&control.Drain{})
			d.over(t, s)
			d.Send(&control.Ready{Stream: 1})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := come(t, NewAgents(), AgentArrival{})
				d, s := e.opened(t)
				begin := time.Now()
				after(t, e, d, s)
				go io.Copy(io.Discard, d.below) // the server says good-bye
				if err := <-d.ended; err != nil {
					t.Error(err)
				}
				if took := time.Since(begin); took > readyTimeout {
					t.Errorf("it took %v", took)
				}
				if l := e.agents.Link("pi"); l != nil && (l.State().Ready != 0 || l.State().Open != 0) {
					t.Errorf("the state is %+v", l.State())
				}
			})
		})
	}
}

// A stream that waits for its connection takes the first one that is there.
func TestWaitsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := come(t, NewAgents(), AgentArrival{})
		d, s := e.opened(t)
		waiting := e.open(t.Context())
		synctest.Wait()
		later := e.open(t.Context())
		synctest.Wait()
		d.over(t, s)
		d.Send(&control.Ready{Stream: 1})
		accept(t, d.Conn)
		o := <-waiting
		if o.err != nil {
			t.Fatal(o.err)
		}
		d.over(t, o.stream)
		d.Send(&control.Ready{Stream: 2})
		accept(t, d.Conn)
		if o = <-later; o.err != nil {
			t.Fatal(o.err)
		}
		d.over(t, o.stream)
		d.below.NetConn().Close()
		<-d.ended
	})
}

// However many streams an agent refuses or ends without getting ready again, no more than MaxReady connections of it are held.
func TestNeverReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := come(t, NewAgents(), AgentArrival{})
		var all []*dataEnd
		for range 2 * MaxReady {
			waiting := e.open(t.Context())
			var d *dataEnd
			for d == nil {
				if a := asked[*control.Attach](t, e); a.Number != 0 {
					d = e.attachTLS(a.Ticket)
				}
			}
			m, err := d.Receive()
			if err != nil {
				t.Fatal(err)
			}
			d.Send(&control.OpenResult{Stream: m.(*control.Open).Stream, Kind: jackfield.Denied})
			if o := <-waiting; o.err == nil {
				t.Fatal("the stream was opened")
			}
			go io.Copy(io.Discard, d.below)
			all = append(all, d)
		}
		synctest.Wait()
		held := 0
		for _, d := range all {
			if len(d.ended) == 0 {
				held++
			}
		}
		if held > MaxReady {
			t.Errorf("%d connections are held", held)
		}
		for _, d := range all {
			<-d.ended
		}
	})
}

// laggard is a connection whose deadlines that cancel something come late.
type laggard struct {
	pipe
	begun, goOn, done chan struct{}
}

func (l *laggard) SetDeadline(t time.Time) error {
	if t.Equal(time.Unix(1, 0)) {
		close(l.begun)
		<-l.goOn
		defer close(l.done)
	}
	return l.pipe.SetDeadline(t)
}

// A client that goes away just as its stream is refused takes the connection with it: what ends its wait must not end the next
// stream.
func TestGoneWithTheRefusal(t *testing.T) {
	e := come(t, NewAgents(), AgentArrival{})
	ctx, cancel := context.WithCancel(t.Context())
	waiting := e.open(ctx)
	wanted, _ := e.forStream(t)
	near, far := newPipe()
	late := &laggard{near, make(chan struct{}), make(chan struct{}), make(chan struct{})}
	ended := make(chan error, 1)
	below := tls.Client(far, encryption())
	go func() {
		ended <- e.agents.Attach(wanted.Ticket, "pi", control.ServerData(tls.Server(late, encryption())))
	}()
	d := &dataEnd{control.AgentData(below), below, ended}
	m, err := d.Receive()
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	<-late.begun
	d.Send(&control.OpenResult{Stream: m.(*control.Open).Stream, Kind: jackfield.Denied})
	go io.Copy(io.Discard, below)
	if o := <-waiting; o.err == nil {
		t.Error("the stream was opened")
	}
	close(late.goOn)
	<-late.done
	<-d.ended
}
