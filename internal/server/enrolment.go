package server

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"jackfield"
	"jackfield/internal/api"
	"jackfield/internal/authority"
	"jackfield/internal/enrolment"
	"jackfield/internal/identity"
)

// agentLifetime is how long an agent's certificate is good. Agents renew theirs after two thirds of it.
const agentLifetime = 90 * 24 * time.Hour

// agents is what the API can do with agents: with their enrolment, and through links with those that are connected.
type agents struct{ *Server }

// agentLinks are the agents that are connected, and those of the configuration. Errors of what is to be told to an agent are
// refusals, Unavailable if it is not connected.
type agentLinks interface {
	// Links returns, in any order, what can be seen of each agent that has a link, and of each that the configuration names,
	// with a link or without.
	Links() []api.Agent

	// Cut ends the link of an agent, if it has one, with why as the cause. It does not wait for the end.
	Cut(agent string, why error)

	Drain(ctx context.Context, agent, reason string) error
	Reload(ctx context.Context, agent string) error
	Tunnel(ctx context.Context, agent string, t api.AgentTunnel) error
}

var errAgentAway = jackfield.Refuse(jackfield.Unavailable, "the agent is not connected", nil)

// Why a link is cut.
var (
	errAgentRemoved  = errors.New("the agent was removed")
	errAgentRenamed  = errors.New("the agent was renamed")
	errAgentReplaced = errors.New("the agent was enrolled anew, and has joined")
)

func (a agents) Agents() []api.Agent {
	links := make(map[string]api.Agent)
	for _, l := range a.links.Links() {
		links[l.Name] = l
	}
	var list []api.Agent
	for _, enrolled := range a.state.agents.List() {
		link := links[enrolled.Name]
		if link.Inbound {
			continue // the configuration has taken the name
		}
		list = append(list, describeAgent(enrolled, link))
		delete(links, enrolled.Name)
	}
	for _, link := range links {
		list = append(list, link)
	}
	return list
}

// describeAgent adds to what can be seen of a link, which is empty without one, what is known of the enrolment.
func describeAgent(a enrolment.Agent, link api.Agent) api.Agent {
	link.Name, link.Owner, link.Offers = a.Name, a.Owner.User, a.Offers
	link.Created, link.CreatedBy, link.Enrolled, link.WaitingUntil, link.Serial = a.Created, a.CreatedBy, a.Enrolled, a.Waiting, a.Serial
	switch {
	case link.State == api.AgentLinked && a.Draining:
		link.State = api.AgentDraining
	case link.State != "":
	case a.Enrolled.IsZero():
		link.State = api.AgentWaiting
	default:
		link.State = api.AgentAway
	}
	return link
}

// describe is how the agent is now.
func (a agents) describe(enrolled enrolment.Agent) api.Agent {
	for _, link := range a.links.Links() {
		if link.Name == enrolled.Name {
			return describeAgent(enrolled, link)
		}
	}
	return describeAgent(enrolled, api.Agent{})
}

func ownerBy(user *identity.User) *enrolment.Owner {
	if user == nil {
		return nil
	}
	return &enrolment.Owner{User: user.Name, ID: user.ID}
}

func (a agents) Enroll(ctx context.Context, n api.NewAgent, owner *identity.User, by string) (api.Enrolment, error) {
	if a.inboundAgents()[strings.ToLower(n.Name)] {
		return api.Enrolment{}, jackfield.Refuse(jackfield.Busy, "the configuration has an agent of this name, which the server dials", nil)
	}
	token, enrolled, err := a.state.agents.Create(ctx, enrolment.New{
		Name: n.Name, Offers: n.Offers, Owner: ownerBy(owner), By: by, Lifetime: time.Duration(n.Lifetime), Again: n.Again,
		Authority: a.state.authority.Fingerprint(),
	})
	if err != nil {
		return api.Enrolment{}, err
	}
	a.log.Info("agent enrolled", "agent", enrolled.Name, "until", enrolled.Waiting, "by", by)
	return api.Enrolment{Token: token, Expires: enrolled.Waiting, Agent: a.describe(enrolled)}, nil
}

// Change cuts the link of an agent that is renamed: it comes again at once, and is told its name.
func (a agents) Change(ctx context.Context, name string, change api.AgentChange, owner *identity.User) (api.Agent, error) {
	c := enrolment.Change{Offers: change.Offers, Owner: ownerBy(owner)}
	if change.Name != nil {
		c.Name = *change.Name
	}
	changed, err := a.state.agents.Change(ctx, name, c)
	if err != nil {
		return api.Agent{}, err
	}
	if changed.Name != name {
		a.links.Cut(name, errAgentRenamed)
		a.log.Info("agent renamed", "agent", changed.Name, "old_name", name)
	}
	return a.describe(changed), nil
}

// Remove has the record go first: without it no certificate of the agent is good.
func (a agents) Remove(ctx context.Context, name string) error {
	removed, err := a.state.agents.Remove(ctx, name)
	if err != nil {
		return err
	}
	a.links.Cut(removed.Name, errAgentRemoved)
	a.revoke(ctx, removed.Serial, removed.Renewed)
	a.log.Info("agent removed", "agent", removed.Name)
	return nil
}

// Join signs before the token is used up, so that what fails takes no token away.
func (a agents) Join(ctx context.Context, j api.AgentJoin) (api.AgentMembership, error) {
	found, err := a.state.agents.Find(j.Token)
	if err != nil {
		return api.AgentMembership{}, err
	}
	subject := authority.Subject{Kind: authority.Agent, Name: found.Name}
	signed, entry, err := a.sign(ctx, []byte(j.Request), subject, "", agentLifetime)
	if err != nil {
		return api.AgentMembership{}, err
	}
	joined, void, err := a.state.agents.Join(ctx, j.Token, entry.Serial)
	if err != nil {
		a.revoke(ctx, entry.Serial)
		return api.AgentMembership{}, err
	}
	if len(void) > 0 {
		a.links.Cut(joined.Name, errAgentReplaced)
		a.revoke(ctx, void...)
	}
	a.log.Info("agent joined", "agent", joined.Name, "serial", entry.Serial, "not_after", entry.NotAfter)
	return api.AgentMembership{
		Name: joined.Name, Certificate: string(signed), Expires: entry.NotAfter, Authorities: string(a.state.authority.Bundle()),
	}, nil
}

// renewAgent signs a new certificate for the agent that holds one with that serial number, and returns it with the authorities,
// both in PEM. The old one is good until arrived is told of the new one.
func (a agents) renewAgent(ctx context.Context, serial string, request []byte) (certificate, authorities []byte, err error) {
	holder, there := a.state.agents.Holder(serial)
	if !there {
		return nil, nil, errNoAgent
	}
	signed, entry, err := a.sign(ctx, request, authority.Subject{Kind: authority.Agent, Name: holder.Name}, "", agentLifetime)
	if err != nil {
		return nil, nil, err
	}
	_, void, err := a.state.agents.Renew(ctx, serial, entry.Serial)
	if err != nil {
		a.revoke(ctx, entry.Serial)
		return nil, nil, err
	}
	a.revoke(ctx, void...)
	return signed, a.state.authority.Bundle(), nil
}

// arrived notes that an agent has a link by the certificate: the one that this replaces is void, and it drains no more. What cannot
// be noted now is noted the next time.
func (a agents) arrived(ctx context.Context, serial string) {
	void, err := a.state.agents.Arrive(ctx, serial)
	if err != nil {
		a.log.Warn("that an agent has come is not noted", "serial", serial, "error", err)
	}
	a.revoke(ctx, void...)
}

// revoke voids certificates in the ledger, too. Those that it does not know are void already; and that they are no agent's any more
// makes them void even if this fails.
func (a agents) revoke(ctx context.Context, serials ...string) {
	for _, serial := range serials {
		if serial == "" {
			continue
		}
		_, err := a.state.ledger.Revoke(ctx, serial)
		if err != nil && jackfield.AsError(err).Kind != jackfield.NotFound {
			a.log.Warn("a certificate is void, and the ledger does not say so", "serial", serial, "error", err)
		}
	}
}

// Drain notes it first, because the agent may be back before this returns.
func (a agents) Drain(ctx context.Context, name, reason string) error {
	_, err := a.state.agents.SetDraining(ctx, name, true)
	enrolled := err == nil
	if !enrolled && jackfield.AsError(err).Kind != jackfield.NotFound { // one of the configuration is not on the roll
		return err
	}
	err = a.links.Drain(ctx, name, reason)
	if err != nil && enrolled {
		_, undone := a.state.agents.SetDraining(ctx, name, false)
		return errors.Join(err, undone)
	}
	return err
}

func (a agents) Reload(ctx context.Context, name string) error { return a.links.Reload(ctx, name) }

func (a agents) Tunnel(ctx context.Context, name string, t api.AgentTunnel) error {
	return a.links.Tunnel(ctx, name, t)
}

// followRoll has links keep to the roll, whoever has changed it, be it on another server or by a restore: one whose certificate is
// no agent's any more, or that of another name, is cut; and what an agent offers is looked at anew when it may offer something else.
func (s *Server) followRoll(ctx context.Context) {
	before := make(map[string]string) // what agents may offer, by their ids
	s.state.agents.Watch(ctx, func() {
		now := make(map[string]string)
		for _, a := range s.state.agents.List() {
			now[a.ID] = fmt.Sprintf("%q of %s", a.Offers, a.Owner.ID)
		}
		for _, l := range s.agents.Links() {
			if l.Serial == "" {
				continue // an inbound one is not on the roll
			}
			holder, there := s.state.agents.Holder(l.Serial)
			switch {
			case !there:
				l.Cut(errAgentRemoved)
			case holder.Name != l.Agent:
				l.Cut(errAgentRenamed)
			case before[holder.ID] != now[holder.ID]:
				l.Publish()
			}
		}
		before = now
	})
}

// tellAgent tells those who follow events that an agent has come, or gone.
func (s *Server) tellAgent(name string, what api.EventType, detail string) {
	owner := ""
	if a, err := s.state.agents.Get(name); err == nil {
		owner = a.Owner.User
	}
	s.hub.Publish(api.Event{Type: what, Subject: name, User: owner, Detail: detail})
}

var errNoAgent = errors.New("its certificate is not one of an agent that is enrolled")

// agentOf tells whose certificate an agent has shown, and by which serial number.
func (s *state) agentOf(c *x509.Certificate) (enrolment.Agent, string, error) {
	subject, serial, err := authority.ParsePeer(c)
	if err != nil {
		return enrolment.Agent{}, "", err
	}
	if subject.Kind != authority.Agent {
		return enrolment.Agent{}, "", fmt.Errorf("%w: it is that of the %s", errNoAgent, subject)
	}
	a, there := s.agents.Holder(serial)
	if !there {
		return enrolment.Agent{}, "", errNoAgent
	}
	return a, serial, nil
}
