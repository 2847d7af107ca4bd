package inedo

import (
	"bytes"
	"maps"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A chopped connection gives what is read in pieces of the given sizes, in turn.
type chopped struct {
	net.Conn
	sizes []int
}

func (c *chopped) Read(p []byte) (int, error) {
	size := c.sizes[0]
	c.sizes = append(c.sizes[1:], size)
	return c.Conn.Read(p[:min(size, len(p))])
}

var drawMessage = rapid.Custom(func(t *rapid.T) Message {
	return Message{
		Type:    AgentType(rapid.IntRange(0, 255).Draw(t, "type")),
		Command: rapid.Int32().Draw(t, "command"),
		Data:    rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "data"),
	}
})

// In every mode, protocol and width, and however TCP cuts it, each end receives what the other one sends.
func TestRoundTrip(t *testing.T) {
	modes := everyMode(t)
	names := slices.Sorted(maps.Keys(modes))
	rapid.Check(t, func(rt *rapid.T) {
		o := modes[rapid.SampledFrom(names).Draw(rt, "mode")]
		width := rapid.SampledFrom([]Width{WidthWide, WidthNarrow}).Draw(rt, "width")
		grace := map[Width]time.Duration{WidthWide: time.Minute, WidthNarrow: time.Millisecond}[width]
		sizes := rapid.SliceOfN(rapid.IntRange(1, 40), 1, 5)
		near, far := net.Pipe()
		defer near.Close()
		defer far.Close()
		agent, client, agentErr, clientErr := connect(t.Context(),
			&chopped{near, sizes.Draw(rt, "client's pieces")}, &chopped{far, sizes.Draw(rt, "agent's pieces")},
			AgentConfig{Options: o, Width: width}, ClientConfig{Options: o, Grace: grace})
		if agentErr != nil || clientErr != nil {
			rt.Fatalf("agent: %v; client: %v", agentErr, clientErr)
		}
		up := rapid.SliceOfN(drawMessage, 0, 5).Draw(rt, "up")
		down := rapid.SliceOfN(drawMessage, 0, 5).Draw(rt, "down")
		var sending sync.WaitGroup
		defer sending.Wait()
		sending.Go(func() { send(rt, client, up) })
		sending.Go(func() { send(rt, agent, down) })
		for _, want := range up {
			if agent.Protocol() == V2 {
				want.Type = 0
			}
			receive(rt, agent, want)
		}
		for _, want := range down {
			want.Type = 0
			receive(rt, client, want)
		}
	})
}

func send(t rapid.TB, c *Conn, messages []Message) {
	for _, m := range messages {
		if err := c.SendMessage(m); err != nil {
			t.Errorf("sending: %v", err)
		}
	}
}

func receive(t rapid.TB, c *Conn, want Message) {
	got, err := c.Receive()
	if err != nil || got.Type != want.Type || got.Command != want.Command || !bytes.Equal(got.Data, want.Data) {
		t.Fatalf("received %+v, %v; wanted %+v", got, err, want)
	}
}

// Every request is answered with a protocol that both ends speak, or not at all.
func TestNegotiationIsCommon(t *testing.T) {
	protocols := rapid.SampledFrom([]Protocol{V1, V2})
	rapid.Check(t, func(rt *rapid.T) {
		o := must(Options{}.withDefaults())
		o.MinProtocol, o.MaxProtocol = protocols.Draw(rt, "min"), protocols.Draw(rt, "max")
		if o.MinProtocol > o.MaxProtocol {
			return
		}
		r := versions{rapid.Int32Range(900, 2100).Draw(rt, "first"), rapid.Int32Range(-100, 3000).Draw(rt, "last")}
		exact := rapid.Bool().Draw(rt, "exact")
		got, err := r.negotiate(AgentConfig{Options: o, ExactRequest: exact})
		if err != nil {
			return
		}
		common := got >= o.MinProtocol && got <= o.MaxProtocol && int32(got) >= r.first
		if got == V2 && r.last < int32(V2) || got == V1 && r.first != int32(V1) || !common {
			rt.Fatalf("%+v: %d", r, got)
		}
	})
}

// Two of our own ends agree on the highest protocol that both speak.
func TestBestProtocol(t *testing.T) {
	ranges := [][2]Protocol{{V1, V1}, {V1, V2}, {V2, V2}}
	for _, a := range ranges {
		for _, c := range ranges {
			agentOptions, clientOptions := Options{MinProtocol: a[0], MaxProtocol: a[1]}, Options{MinProtocol: c[0], MaxProtocol: c[1]}
			near, far := net.Pipe()
			agent, client, agentErr, clientErr := connect(t.Context(), near, far,
				AgentConfig{Options: agentOptions}, ClientConfig{Options: clientOptions})
			near.Close()
			best := min(a[1], c[1])
			switch {
			case best < max(a[0], c[0]):
				if agentErr == nil || clientErr == nil {
					t.Errorf("agent %v, client %v: %v, %v", a, c, agentErr, clientErr)
				}
			case agentErr != nil || clientErr != nil || agent.Protocol() != best || client.Protocol() != best:
				t.Errorf("agent %v, client %v: %v, %v", a, c, agentErr, clientErr)
			}
		}
	}
}
