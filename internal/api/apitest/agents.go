package apitest

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"jackfield"
	"jackfield/internal/api"
	"jackfield/internal/identity"
)

// JoinToken is good for edge-7, once.
const JoinToken = "jfa_good"

// Agents stand in for the roll of agents and their links: roof-1 is bob's and connected, edge-7 waits, and plant-3 is in the
// configuration.
type Agents struct {
	mu     sync.Mutex
	agents []api.Agent
	token  string            // that is good
	told   map[string]string // what agents were told last
}

func newAgents() *Agents {
	source := netip.MustParseAddrPort("192.0.2.10:4711")
	return &Agents{
		token: JoinToken,
		told:  map[string]string{},
		agents: []api.Agent{
			{
				Name: "roof-1", State: api.AgentLinked, Owner: "bob", Offers: []string{"*.roof"}, Created: Started, Enrolled: Started,
				Serial: strings.Repeat("0", 31) + "2", Version: "jackfield 1.2.3", Platform: "linux/arm64", Source: &source, Listener: "web",
				Since: Started, Latency: 0.012, Services: []api.AgentService{{Name: "ssh.roof", Published: true}, {Name: "web", Reason: "no"}},
				Streams: 1, Opened: 7, BytesFromClients: 1 << 20, BytesFromServices: 1 << 30,
			},
			{Name: "edge-7", State: api.AgentWaiting, Created: Started, CreatedBy: "ada", WaitingUntil: Started.Add(time.Hour)},
			{Name: "plant-3", State: api.AgentAway, Inbound: true},
		},
	}
}

// Told returns what an agent was told last: to drain and why, to reload, to open which tunnel.
func (a *Agents) Told(name string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.told[name]
}

// Agents returns all of them.
func (a *Agents) Agents() []api.Agent {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.agents)
}

// index is called with mu held.
func (a *Agents) index(name string) int {
	return slices.IndexFunc(a.agents, func(known api.Agent) bool { return known.Name == name })
}

// Enroll knows no limits.
func (a *Agents) Enroll(_ context.Context, n api.NewAgent, owner *identity.User, by string) (api.Enrolment, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := a.index(n.Name)
	if i < 0 {
		i = len(a.agents)
		a.agents = append(a.agents, api.Agent{Name: n.Name, State: api.AgentWaiting, Created: Started, CreatedBy: by})
	} else if a.agents[i].State != api.AgentWaiting && !n.Again {
		return api.Enrolment{}, jackfield.Refuse(jackfield.Busy, "the agent has joined already", nil)
	}
	if owner != nil {
		a.agents[i].Owner = owner.Name
	}
	return api.Enrolment{Token: JoinToken, Expires: Started.Add(time.Hour), Agent: a.agents[i]}, nil
}

// Change changes what is wanted.
func (a *Agents) Change(_ context.Context, name string, change api.AgentChange, owner *identity.User) (api.Agent, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	changed := &a.agents[a.index(name)]
	if change.Name != nil {
		changed.Name = *change.Name
	}
	if change.Offers != nil {
		changed.Offers = *change.Offers
	}
	if owner != nil {
		changed.Owner = owner.Name
	}
	return *changed, nil
}

// Remove removes one.
func (a *Agents) Remove(_ context.Context, name string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := a.index(name)
	a.agents = slices.Delete(slices.Clone(a.agents), i, i+1)
	return nil
}

// Join takes JoinToken once.
func (a *Agents) Join(_ context.Context, j api.AgentJoin) (api.AgentMembership, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if j.Token != a.token {
		return api.AgentMembership{}, jackfield.Refuse(jackfield.Unauthenticated, "the token is not good", nil)
	}
	a.token = ""
	a.agents[a.index("edge-7")].State = api.AgentAway
	return api.AgentMembership{Name: "edge-7", Certificate: "certificate", Expires: Started, Authorities: "authorities"}, nil
}

// tell wants an agent that is connected.
func (a *Agents) tell(name, what string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.agents[a.index(name)].State != api.AgentLinked {
		return jackfield.Refuse(jackfield.Unavailable, "the agent is not connected", nil)
	}
	a.told[name] = what
	return nil
}

// Drain tells it.
func (a *Agents) Drain(_ context.Context, name, reason string) error {
	return a.tell(name, "drain: "+reason)
}

// Reload tells it.
func (a *Agents) Reload(_ context.Context, name string) error { return a.tell(name, "reload") }

// Tunnel tells it.
func (a *Agents) Tunnel(_ context.Context, name string, t api.AgentTunnel) error {
	return a.tell(name, "tunnel to "+t.ServerAddress)
}
