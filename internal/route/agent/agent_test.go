package agent

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"jackfield"
	"jackfield/internal/link"
	"jackfield/internal/link/control"
)

// table is a table of agents that opens nothing, and remembers what it was asked for.
type table struct {
	err    error
	agent  string
	ask    control.Open
	within time.Duration
}

func (t *table) Open(ctx context.Context, agent string, ask control.Open) (jackfield.Stream, error) {
	deadline, _ := ctx.Deadline()
	t.agent, t.ask, t.within = agent, ask, time.Until(deadline)
	return nil, t.err
}

func (t *table) Link(agent string) *link.AgentLink {
	if agent == "there" {
		return new(link.AgentLink)
	}
	return nil
}

func TestDescription(t *testing.T) {
	offered, address := Offered(nil, "pi", "ssh"), Address(nil, "pi", "127.0.0.1:22")
	if offered.String() != "agent pi" || offered.Destinations() != nil {
		t.Errorf("%s, %v", offered, offered.Destinations())
	}
	if d := address.Destinations(); address.String() != "agent pi 127.0.0.1:22" || len(d) != 1 || d[0] != "127.0.0.1:22" {
		t.Errorf("%s, %v", address, d)
	}
}

func TestReady(t *testing.T) {
	agents := new(table)
	for _, test := range []struct {
		route *Route
		want  string
	}{
		{Address(agents, "there", "127.0.0.1:22"), ""},
		{Offered(agents, "there", "ssh"), "does not offer it"},
		{Address(agents, "away", "127.0.0.1:22"), "agent away"},
		{Offered(agents, "away", "ssh"), "agent away"},
	} {
		if err := test.route.Ready(); (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", test.route, err)
		}
	}
}

func TestAsks(t *testing.T) {
	agents := new(table)
	r := &jackfield.Request{Identity: jackfield.Identity{User: "ann"}, Source: netip.MustParseAddrPort("192.0.2.1:5")}
	Offered(agents, "pi", "ssh").Open(t.Context(), r)
	if agents.agent != "pi" || agents.ask != (control.Open{Service: "ssh", User: "ann", Source: "192.0.2.1:5", Within: openTimeout}) {
		t.Errorf("asked %s for %+v", agents.agent, agents.ask)
	}
	Address(agents, "pi", "127.0.0.1:22").Open(t.Context(), r)
	if agents.ask.Service != "" || agents.ask.Address != "127.0.0.1:22" {
		t.Errorf("asked for %+v", agents.ask)
	}
	if agents.within <= 0 || agents.within > openTimeout {
		t.Errorf("within %v", agents.within)
	}
}

func TestOpenFails(t *testing.T) {
	inTheAgentsWords := jackfield.Refuse(jackfield.Denied, "the agent does not allow that", errors.New("details"))
	for name, test := range map[string]struct {
		err      error
		kind     jackfield.Kind
		sentence string
	}{
		"away":        {link.ErrNotConnected, jackfield.Unavailable, "is not connected"},
		"draining":    {link.ErrAgentDraining, jackfield.Unavailable, "about to end"},
		"silent":      {context.DeadlineExceeded, jackfield.Unavailable, "did not answer in time"},
		"lost":        {link.ErrAgentAnew, jackfield.Unavailable, "cannot be reached"},
		"its refusal": {inTheAgentsWords, jackfield.Denied, "the agent does not allow that"},
	} {
		stream, err := Offered(&table{err: test.err}, "pi", "ssh").Open(t.Context(), new(jackfield.Request))
		refusal := jackfield.AsError(err)
		if stream != nil || refusal.Kind != test.kind || !strings.Contains(refusal.Message, test.sentence) || !errors.Is(err, test.err) {
			t.Errorf("%s: %v, %v", name, refusal.Kind, err)
		}
	}
}
