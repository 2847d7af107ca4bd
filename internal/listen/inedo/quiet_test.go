package inedo

import (
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"jackfield/internal/link"
	"jackfield/internal/link/control"
)

// hearsUnknown counts the messages that it is told are not known: the log gets a line for each.
type hearsUnknown struct {
	publisher
	told atomic.Int64
}

func (h *hearsUnknown) Unknown(*link.AgentLink, int32) { h.told.Add(1) }

// An agent that goes on saying what is not known does not fill the log: of n messages it has the 1st, 2nd, 4th, 8th and so on. The
// link stays, for the agent may be newer than its server; the next link begins anew.
func TestUnknownMessages(t *testing.T) {
	hears := new(hearsUnknown)
	p := openWith(t, func(p *port) { p.handler.Links = hears })
	for _, test := range []struct{ messages, told int64 }{{1, 1}, {2, 2}, {3, 2}, {4, 3}, {5000, 13}, {7, 3}} {
		hears.told.Store(0)
		messages, _ := p.come(t, "pi")
		for n := range test.messages {
			if err := messages.Send(&control.Unknown{Command: 0x4A46FF00 + int32(n&0xff)}); err != nil {
				t.Fatal(err)
			}
			if n%500 == 499 {
				heardOut(t, messages)
			}
		}
		heardOut(t, messages)
		if got := hears.told.Load(); got != test.told {
			t.Errorf("of %d messages %d are told", test.messages, got)
		}
	}
}

// heardOut waits until the server has heard all that was said: it answers. Pings are answered meanwhile.
func heardOut(t *testing.T, c *control.Conn) {
	t.Helper()
	if err := c.Send(&control.Renew{}); err != nil {
		t.Fatal(err)
	}
	for {
		m, err := c.Receive()
		if err != nil {
			t.Fatal(err)
		}
		switch m := m.(type) {
		case *control.Renewed:
			return
		case *control.Ping:
			if err := c.Send(&control.Pong{Number: m.Number}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Who guesses tickets on the port without TLS, where nobody proves who they are, does not fill the log.
func TestGuessedTicketsQuiet(t *testing.T) {
	const times, most = 3 * linesAtOnce, linesAtOnce + 10
	p := open(t)
	for n := range times {
		conn := p.connect(t, p.plain)
		control.AgentData(conn).Send(&control.Attach{Ticket: control.Ticket{byte(n), byte(n >> 8), 1}})
		io.Copy(io.Discard, conn)
		conn.Close()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if lines := strings.Count(p.log.String(), "\n"); lines < linesAtOnce || lines > most {
		t.Errorf("%d guesses have made %d lines, %d bytes", times, lines, p.log.Len())
	}
}
