package api

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"jackfield"
	"jackfield/internal/identity"
)

func listAgents(c *call) (any, error) {
	part, next, err := paginate(c, c.agents(), func(a Agent) string { return a.Name })
	return AgentList{part, next}, err
}

// agents are all of them, with the rates of their links.
func (c *call) agents() []Agent {
	all := c.server.Agents.Agents()
	links := make([]Session, len(all))
	for i, a := range all {
		links[i] = a.asSession()
	}
	rate := c.server.agentRates.measure(time.Now(), links)
	for i := range all {
		if !all[i].Since.IsZero() {
			all[i].Rate = rate(links[i])
		}
		all[i] = all[i].whole()
	}
	return all
}

// whole has no list that is null.
func (a Agent) whole() Agent {
	a.Offers, a.Services = list(a.Offers), list(a.Services)
	return a
}

// asSession is a link as far as rates are concerned.
func (a *Agent) asSession() Session {
	return Session{
		ID: a.Name + " " + a.Since.String(), Started: a.Since,
		BytesFromClient: a.BytesFromClients, BytesFromService: a.BytesFromServices,
	}
}

func (c *call) agent() (Agent, error) { return c.agentNamed(c.r.PathValue("name")) }

func (c *call) agentNamed(name string) (Agent, error) {
	for _, a := range c.agents() {
		if strings.EqualFold(a.Name, name) {
			return a, nil
		}
	}
	return Agent{}, notFound("there is no such agent")
}

func getAgent(c *call) (any, error) { return c.agent() }

// enrolledAgent is the one in the path, if it can be changed here.
func (c *call) enrolledAgent() (Agent, error) {
	a, err := c.agent()
	if err == nil && a.Inbound {
		err = jackfield.Refuse(jackfield.Busy, fmt.Sprintf("the agent %s is in the configuration file: change it there", a.Name), nil)
	}
	return a, err
}

func enrollAgent(c *call) (any, error) {
	n, err := decode[NewAgent](c)
	if err != nil {
		return nil, err
	}
	owner, err := c.ownerOfAgent(n.Owner)
	if err != nil {
		return nil, err
	}
	if _, unknown := c.agentNamed(n.Name); n.Owner == nil && unknown != nil {
		owner = c.self()
	}
	made, err := c.server.Agents.Enroll(c.changing(), n, owner, c.who.Identity.User)
	if err != nil {
		return nil, err
	}
	c.about("agent", made.Agent.Name)
	c.location = Base + "/agents/" + url.PathEscape(made.Agent.Name)
	made.Agent = made.Agent.whole()
	c.tellAgent(made.Agent, "enrolled")
	return made, nil
}

// ownerOfAgent looks a user up; an empty name is a user who is nobody, nil is nil.
func (c *call) ownerOfAgent(name *string) (*identity.User, error) {
	switch {
	case name == nil:
		return nil, nil
	case *name == "":
		return &identity.User{}, nil
	}
	user, err := c.server.Directory.User(*name)
	if err != nil {
		return nil, err
	}
	return &user, nil
}

// self is the caller as a user; nil on the Unix socket.
func (c *call) self() *identity.User {
	user, err := c.server.Directory.User(c.who.Identity.User)
	if err != nil {
		return nil
	}
	return &user
}

func (c *call) tellAgent(a Agent, what string) {
	c.server.Hub.Publish(Event{Type: AgentChanged, Subject: a.Name, User: a.Owner, Detail: what})
}

func changeAgent(c *call) (any, error) {
	change, err := decode[AgentChange](c)
	if err != nil {
		return nil, err
	}
	a, err := c.enrolledAgent()
	if err != nil {
		return nil, err
	}
	owner, err := c.ownerOfAgent(change.Owner)
	if err != nil {
		return nil, err
	}
	changed, err := c.server.Agents.Change(c.changing(), a.Name, change, owner)
	if err != nil {
		return nil, err
	}
	if changed.Name != a.Name {
		c.tellAgent(a, "renamed to "+changed.Name)
	}
	c.tellAgent(changed, "changed")
	return changed.whole(), nil
}

func deleteAgent(c *call) (any, error) {
	a, err := c.enrolledAgent()
	if err != nil {
		return nil, err
	}
	if err := c.server.Agents.Remove(c.changing(), a.Name); err != nil {
		return nil, err
	}
	c.tellAgent(a, "removed")
	return nil, nil
}

// joinAgent is for agents that have nothing but a token: whoever shows wrong ones is slowed down, as at logins.
func joinAgent(c *call) (any, error) {
	j, err := decode[AgentJoin](c)
	if err != nil {
		return nil, err
	}
	if j.Token == "" || j.Request == "" {
		return nil, invalid("to join, a token and a request are needed")
	}
	source := c.record.Source.Addr()
	if err := c.server.joins.Begin(source); err != nil {
		return nil, err
	}
	joined, err := c.server.Agents.Join(c.changing(), j)
	if err != nil {
		if jackfield.AsError(err).Kind == jackfield.Unauthenticated {
			c.server.joins.Failed(source)
			c.challenge("", "")
		}
		return nil, err
	}
	c.about("agent", joined.Name)
	a, _ := c.agentNamed(joined.Name)
	a.Name = joined.Name
	c.tellAgent(a, "joined")
	return joined, nil
}

func drainAgent(c *call) (any, error) {
	a, err := c.agent()
	if err != nil {
		return nil, err
	}
	reason, err := c.reason()
	if err != nil {
		return nil, err
	}
	return nil, c.server.Agents.Drain(c.changing(), a.Name, reason)
}

func reloadAgent(c *call) (any, error) {
	a, err := c.agent()
	if err != nil {
		return nil, err
	}
	return nil, c.server.Agents.Reload(c.ctx, a.Name)
}

// How long a tunnel's address may be: that of a DNS name.
const maxTunnelAddress = 253

func openTunnel(c *call) (any, error) {
	t, err := decode[AgentTunnel](c)
	if err != nil {
		return nil, err
	}
	for _, port := range []int{t.ServerPort, t.LocalPort} {
		if port < 0 || port > 1<<16-1 {
			return nil, invalid("a port is a number between 1 and 65535")
		}
	}
	if len(t.ServerAddress) > maxTunnelAddress || len(t.LocalAddress) > maxTunnelAddress {
		return nil, invalid("an address has at most 253 bytes")
	}
	a, err := c.agent()
	if err != nil {
		return nil, err
	}
	return nil, c.server.Agents.Tunnel(c.ctx, a.Name, t)
}
