package server

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"jackfield"
	"jackfield/internal/access"
	"jackfield/internal/config"
	"jackfield/internal/enrolment"
	"jackfield/internal/gateway"
	"jackfield/internal/link"
	messages "jackfield/internal/link/control"
	"jackfield/internal/route/agent"
)

// offers are the services that agents offer, as far as they may be published. They outlive generations; each new one looks at them
// anew.
type offers struct {
	server *Server

	mu      sync.Mutex // guards what follows; after Server.mu
	offered map[jackfield.Name]offer

	published atomic.Pointer[map[string]services] // by listener; what it points to does not change
}

type services map[jackfield.Name]*gateway.Service

// An offer is a service that an agent offers, and that is published.
type offer struct {
	link        *link.AgentLink
	description string
	service     *gateway.Service
	listeners   []string
}

func newOffers(s *Server) *offers {
	o := &offers{server: s, offered: make(map[jackfield.Name]offer)}
	o.published.Store(&map[string]services{})
	return o
}

// at returns what a listener publishes of them, as gateway.Listener.Offered has it.
func (o *offers) at(listener string) func() map[jackfield.Name]*gateway.Service {
	return func() map[jackfield.Name]*gateway.Service { return (*o.published.Load())[listener] }
}

// register publishes what an agent offers in place of what it offered before, and returns what became of it.
func (o *offers) register(g *generation, l *link.AgentLink, offered []messages.Service) []messages.Published {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.drop(l)
	var answer []messages.Published
	for _, s := range offered {
		answer = append(answer, messages.Published{Name: s.Name, Reason: o.publish(g, l, s)})
	}
	o.store()
	return answer
}

// renew looks at all that is offered with the eyes of a new generation. Who has a name keeps it.
func (o *offers) renew(g *generation) {
	o.mu.Lock()
	defer o.mu.Unlock()
	before := o.offered
	o.offered = make(map[jackfield.Name]offer)
	for _, l := range g.agents.Links() {
		for _, s := range l.State().Offered {
			if before[jackfield.Name(s.Name)].link == l {
				o.publish(g, l, s)
			}
		}
	}
	o.fill(g)
	o.store()
}

// fill publishes what was offered in vain before, and can be now, and returns who offers it. It is called with mu held.
func (o *offers) fill(g *generation) (who []*link.AgentLink) {
	for _, l := range g.agents.Links() {
		n := len(o.offered)
		for _, s := range l.State().Offered {
			if o.offered[jackfield.Name(s.Name)].link == nil {
				o.publish(g, l, s)
			}
		}
		if len(o.offered) > n {
			who = append(who, l)
		}
	}
	return who
}

// leave withdraws what was offered by a link that has ended. Others who offer the same are published in its place.
func (o *offers) leave(l *link.AgentLink) {
	g := o.server.generation()
	o.mu.Lock()
	o.drop(l)
	next := o.fill(g)
	o.store()
	o.mu.Unlock()
	for _, n := range next {
		n.Publish()
	}
}

// drop is called with mu held, as are those below.
func (o *offers) drop(l *link.AgentLink) {
	for name, offered := range o.offered {
		if offered.link == l {
			delete(o.offered, name)
		}
	}
}

// publish publishes a service, or says why not.
func (o *offers) publish(g *generation, l *link.AgentLink, s messages.Service) (reason string) {
	name, err := jackfield.ParseName(s.Name)
	if err != nil {
		return err.Error()
	}
	block := g.config.Agent(l.Agent)
	if block == nil {
		block = g.defaultAgent()
	}
	enrolled, _ := g.state.agents.Get(l.Agent)
	if !mayOffer(name, block.Offers) && !mayOffer(name, enrolled.Offers) {
		return "neither its enrolment nor the configuration lets it offer a service of this name"
	}
	if slices.ContainsFunc(g.config.Services, func(s *config.Service) bool { return s.Name == name }) {
		return "the configuration has a service of this name"
	}
	if other, taken := o.offered[name]; taken && other.link.Agent != l.Agent {
		return "agent " + other.link.Agent + " offers a service of this name"
	}
	if len(block.Listeners) == 0 {
		return "no listener publishes what it offers"
	}
	o.offered[name] = offer{l, s.Description, g.offeredService(name, l.Agent, block, enrolled.Owner), block.Listeners}
	return ""
}

// store puts what is offered now where listeners look.
func (o *offers) store() {
	published := make(map[string]services)
	for name, offered := range o.offered {
		for _, listener := range offered.listeners {
			if published[listener] == nil {
				published[listener] = make(services)
			}
			published[listener][name] = offered.service
		}
	}
	o.published.Store(&published)
}

// list returns what is offered now.
func (o *offers) list() map[jackfield.Name]offer {
	o.mu.Lock()
	defer o.mu.Unlock()
	list := make(map[jackfield.Name]offer, len(o.offered))
	for name, offered := range o.offered {
		list[name] = offered
	}
	return list
}

func mayOffer(name jackfield.Name, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return access.Matches(pattern, name) })
}

// defaultAgent is what holds for an agent of which the configuration says nothing.
func (g *generation) defaultAgent() *config.Agent {
	a := new(config.Agent)
	for _, l := range g.config.Listeners {
		if l.Protocol == "https" {
			a.Listeners = append(a.Listeners, l.Name)
		}
	}
	return a
}

func (g *generation) offeredService(name jackfield.Name, agentName string, block *config.Agent, owner enrolment.Owner) *gateway.Service {
	level := gateway.Level{Limit: g.builder.limits.Get("service." + string(name))}
	limits := block.Limits
	g.builder.limits.Get("service." + string(name)).Configure(limits)
	if m := g.mappers[block.Mapper]; m != nil {
		level.Mapper = m
	}
	level.ACL = ownerOnly{g.state, owner, "acl.service." + string(name)}
	if len(block.Rules) > 0 {
		level.ACL = access.NewACL("service."+string(name), block.Rules)
	}
	return &gateway.Service{
		Name:        name,
		Route:       agent.Offered(g.agents, agentName, name),
		Levels:      []gateway.Level{level},
		IdleTimeout: block.IdleTimeout,
		MaxDuration: block.MaxDuration,
	}
}

// ownerOnly lets in the user who owns an agent, and administrators: for services of which nobody has said who may use them.
type ownerOnly struct {
	state *state
	owner enrolment.Owner
	by    string
}

// Decide implements jackfield.Policy.
func (p ownerOnly) Decide(_ context.Context, r *jackfield.Request) jackfield.Decision {
	user, err := p.state.directory.User(r.Identity.User)
	switch {
	case r.Identity.User == "" || err != nil:
		return jackfield.Decision{By: p.by, Reason: "only its owner and administrators may use what an agent offers, without rules for that"}
	case user.ID == p.owner.ID:
		return jackfield.Decision{Allow: true, By: p.by, Reason: "the agent's owner"}
	case user.Admin:
		return jackfield.Decision{Allow: true, By: p.by, Reason: "an administrator"}
	}
	return jackfield.Decision{By: p.by, Reason: fmt.Sprintf("user %s does not own the agent", user.Name)}
}
