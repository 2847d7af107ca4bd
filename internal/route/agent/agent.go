// Package agent is the route to a service of a Jackfield agent, by the link that it keeps.
//
// The agent says whether it could reach the service: a stream is open when bytes can flow.
package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"jackfield"
	"jackfield/internal/link"
	"jackfield/internal/link/control"
)

// Agents opens streams through the links of agents, as [link.Agents] does.
type Agents interface {
	Open(ctx context.Context, agent string, ask control.Open) (jackfield.Stream, error)
	Link(agent string) *link.AgentLink
}

// A Route asks an agent for a service that it offers, or to connect to an address. It is safe for concurrent use.
type Route struct {
	agents  Agents
	agent   string
	service jackfield.Name // empty: address counts
	address string
}

// Offered returns the route to a service that the agent offers by that name.
func Offered(agents Agents, agent string, service jackfield.Name) *Route {
	return &Route{agents: agents, agent: agent, service: service}
}

// Address returns the route to an address ("host:port") on the network of an agent, whose allow-list has to have it.
func Address(agents Agents, agent, address string) *Route {
	return &Route{agents: agents, agent: agent, address: address}
}

// String describes the route, such as "agent lab-pi 127.0.0.1:22".
func (r *Route) String() string {
	if r.address == "" {
		return "agent " + r.agent
	}
	return "agent " + r.agent + " " + r.address
}

// Destinations returns the address that the agent dials, if that is known.
func (r *Route) Destinations() []string {
	if r.address == "" {
		return nil
	}
	return []string{r.address}
}

// Ready returns why a stream could not be opened now, as far as that is known.
func (r *Route) Ready() error {
	l := r.agents.Link(r.agent)
	switch {
	case l == nil:
		return fmt.Errorf("agent %s: %w", r.agent, link.ErrNotConnected)
	case r.address == "" && !l.Offers(string(r.service)):
		return fmt.Errorf("agent %s does not offer it", r.agent)
	}
	return nil
}

// openTimeout is how long the agent may take to reach the service.
const openTimeout = 10 * time.Second

// Open opens a stream through the agent's link.
func (r *Route) Open(ctx context.Context, asked *jackfield.Request) (jackfield.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	stream, err := r.agents.Open(ctx, r.agent, control.Open{
		Service: string(r.service),
		Address: r.address,
		User:    asked.Identity.User,
		Source:  asked.Source.String(),
		Within:  openTimeout,
	})
	if err == nil {
		return stream, nil
	}
	err = fmt.Errorf("agent %s: %w", r.agent, err)
	if refusal := new(jackfield.Error); errors.As(err, &refusal) {
		return nil, jackfield.Refuse(refusal.Kind, refusal.Message, err)
	}
	sentence := "the agent cannot be reached"
	switch {
	case errors.Is(err, link.ErrNotConnected):
		sentence = "the agent is not connected"
	case errors.Is(err, link.ErrAgentDraining):
		sentence = "the agent is about to end, try again later"
	case errors.Is(err, context.DeadlineExceeded):
		sentence = "the agent did not answer in time"
	}
	return nil, jackfield.Refuse(jackfield.Unavailable, sentence, err)
}
