package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"time"

	"jackfield"
	"jackfield/internal/api"
	"jackfield/internal/config"
	"jackfield/internal/gateway"
	"jackfield/internal/link"
	messages "jackfield/internal/link/control"
	"jackfield/internal/listen"
	"jackfield/internal/listen/inedo"
)

// agentHandler serves the agents that come to a listener.
func (g *generation) agentHandler(listener *gateway.Listener) *inedo.Handler {
	h := &inedo.Handler{
		Gateway:  g.gateway,
		Listener: listener,
		Agents:   g.agents,
		Log:      g.log,
	}
	if g.offers != nil { // not for a check of a configuration
		s := g.offers.server
		h.Links, h.Peer, h.Version, h.DataAt = agentSide{s}, s.agentPeer, "jackfield "+s.version, s.agentData
	}
	return h
}

// agentProtocols are what a listener of protocol https speaks beside HTTP.
func (g *generation) agentProtocols(l *config.Listener, listener *gateway.Listener) map[string]func(context.Context, *tls.Conn, *listen.Client) {
	if !l.Agents {
		return nil
	}
	h := g.agentHandler(listener)
	return map[string]func(context.Context, *tls.Conn, *listen.Client){
		inedo.ControlProtocol: h.Control,
		inedo.DataProtocol:    h.Data,
	}
}

// agentData says where an agent's data connections come, as far as its block in the configuration does not leave it at TLS.
func (s *Server) agentData(name string) (address string, plain bool) {
	g := s.generation()
	block := g.config.Agent(name)
	if block == nil || block.Encryption != "none" || block.Inbound() {
		return "", false
	}
	for i, l := range g.config.Listeners { // servers are in their order
		if l.Protocol != "agent-data" {
			continue
		}
		host, port, _ := net.SplitHostPort(l.Listen)
		if bound := s.sockets.Addr(g.servers[i]); bound != nil {
			_, port, _ = net.SplitHostPort(bound.String())
		}
		if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
			host = ""
		}
		return net.JoinHostPort(host, port), true
	}
	return "", false
}

// agentPeer tells whose certificate an agent has shown, as listen/inedo asks for it. The name is the one that it has now.
func (s *Server) agentPeer(ctx context.Context, c *x509.Certificate) (*inedo.Peer, error) {
	enrolled, serial, err := s.state.agentOf(c)
	if err != nil {
		return nil, err
	}
	if s.inboundAgents()[enrolled.Name] {
		return nil, fmt.Errorf("the configuration has an agent %s that the server dials: rename one of them", enrolled.Name)
	}
	inForce, release := s.state.whileInForce(ctx, c)
	return &inedo.Peer{Agent: enrolled.Name, Serial: serial, InForce: inForce, Release: release}, nil
}

// agentSide hears what agents say.
type agentSide struct{ *Server }

// refusedShown is how many of an agent's services that are not published one line of the log names.
const refusedShown = 4

// Registered implements link.AgentHandler.
func (a agentSide) Registered(l *link.AgentLink, offered []messages.Service) []messages.Published {
	published := a.offers.register(a.generation(), l, offered)
	var refused []string
	for _, p := range published {
		if p.Reason != "" && len(refused) < refusedShown {
			refused = append(refused, fmt.Sprintf("%.100q: %s", p.Name, p.Reason))
		}
	}
	if len(refused) > 0 {
		a.log.Warn("services of an agent are not published", "agent", l.Agent, "first", refused)
	}
	return published
}

// Arrived implements link.AgentHandler.
func (a agentSide) Arrived(l *link.AgentLink) {
	a.agentBytes.begin(l.Agent)
	if l.Serial == "" {
		return // an inbound one
	}
	ctx, cancel := context.WithTimeout(context.Background(), storePatience)
	defer cancel()
	agents(a).arrived(ctx, l.Serial)
}

// Renew implements link.AgentHandler.
func (a agentSide) Renew(l *link.AgentLink, r *messages.Renew) *messages.Renewed {
	ctx, cancel := context.WithTimeout(context.Background(), storePatience)
	defer cancel()
	certificate, authorities, err := agents(a).renewAgent(ctx, l.Serial, []byte(r.Request))
	if err != nil {
		a.log.Warn("the certificate of an agent is not renewed", "agent", l.Agent, "error", err)
		return &messages.Renewed{Problem: jackfield.AsError(err).Message}
	}
	return &messages.Renewed{Certificate: string(certificate), Authority: string(authorities)}
}

// Unknown implements link.AgentHandler.
func (a agentSide) Unknown(l *link.AgentLink, code int32) {
	a.log.Info("an agent said something unknown", "agent", l.Agent, "code", code)
}

// Left implements link.AgentHandler.
func (a agentSide) Left(l *link.AgentLink) { a.offers.leave(l) }

// tellAgents tells, until ctx ends, which agents come and go.
func (s *Server) tellAgents(ctx context.Context) {
	before := make(map[string]string) // the ids of the links, by agent
	s.agents.Watch(ctx, func() {
		now := make(map[string]string)
		for _, l := range s.agents.Links() {
			now[l.Agent] = l.ID
		}
		for name := range before {
			if now[name] == "" {
				s.tellAgent(name, api.AgentGone, "")
			}
		}
		for name, id := range now {
			if before[name] != id {
				s.tellAgent(name, api.AgentConnected, "")
			}
		}
		before = now
	})
}

// followOffers has the agents that are connected told what a new configuration publishes.
func (s *Server) followOffers() {
	for _, l := range s.agents.Links() {
		l.Publish()
	}
}

// liveLinks are the links of agents, as the API has them.
type liveLinks struct{ *Server }

// Links implements agentLinks.
func (s liveLinks) Links() []api.Agent {
	var list []api.Agent
	linked := make(map[string]bool)
	inbound, bytes := s.inboundAgents(), s.bytesOfAgents()
	for _, l := range s.agents.Links() {
		linked[l.Agent] = true
		described := describeLink(l.State())
		described.BytesFromClients, described.BytesFromServices = bytes[l.Agent].FromClient, bytes[l.Agent].FromService
		described.Inbound = inbound[l.Agent]
		list = append(list, described)
	}
	for name := range inbound {
		if !linked[name] {
			list = append(list, api.Agent{Name: name, State: api.AgentAway, Inbound: true})
		}
	}
	return list
}

// inboundAgents are those of the configuration that the server dials.
func (s *Server) inboundAgents() map[string]bool {
	inbound := make(map[string]bool)
	g := s.generation()
	if g == nil {
		return inbound // it has not begun to serve
	}
	for _, a := range g.config.Agents {
		if a.Inbound() {
			inbound[a.Name] = true
		}
	}
	return inbound
}

func describeLink(l link.AgentState) api.Agent {
	a := api.Agent{
		Name: l.Agent, State: api.AgentLinked, Version: l.Hello.Agent, Platform: l.Hello.Platform, Source: &l.Source,
		Listener: l.Listener, Since: l.Since, Latency: l.Latency.Seconds(), Streams: int(l.Open), Opened: l.Opened, Ready: l.Ready,
	}
	if l.Draining != "" {
		a.State = api.AgentDraining
	}
	for i, s := range l.Offered {
		service := api.AgentService{Name: s.Name, Description: s.Description}
		if i < len(l.Published) {
			service.Reason = l.Published[i].Reason
			service.Published = service.Reason == ""
		}
		a.Services = append(a.Services, service)
	}
	return a
}

// Cut implements agentLinks.
func (s liveLinks) Cut(agent string, why error) {
	if l := s.agents.Link(agent); l != nil {
		l.Cut(why)
	}
}

// Drain implements agentLinks.
func (s liveLinks) Drain(_ context.Context, agent, reason string) error {
	l := s.agents.Link(agent)
	if l == nil {
		return errAgentAway
	}
	return l.Drain(reason)
}

// Reload implements agentLinks.
func (s liveLinks) Reload(ctx context.Context, agent string) error {
	return s.tell(ctx, agent, func(ctx context.Context, l *link.AgentLink) error { return l.Reload(ctx) })
}

// Tunnel implements agentLinks.
func (s liveLinks) Tunnel(ctx context.Context, agent string, t api.AgentTunnel) error {
	return s.tell(ctx, agent, func(ctx context.Context, l *link.AgentLink) error {
		return l.Tunnel(ctx, messages.Tunnel{
			ServerAddress: t.ServerAddress, ServerPort: int32(t.ServerPort), LocalAddress: t.LocalAddress, LocalPort: int32(t.LocalPort),
		})
	})
}

// How long an agent may take to answer a question.
const agentPatience = 15 * time.Second

// tell asks an agent for something. What it finds wrong with that is in its own words.
func (s liveLinks) tell(ctx context.Context, agent string, ask func(context.Context, *link.AgentLink) error) error {
	l := s.agents.Link(agent)
	if l == nil {
		return errAgentAway
	}
	ctx, cancel := context.WithTimeout(ctx, agentPatience)
	defer cancel()
	if err := ask(ctx, l); err != nil {
		return jackfield.Refuse(jackfield.Unavailable, err.Error(), nil)
	}
	return nil
}
