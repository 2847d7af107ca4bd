package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"time"

	"jackfield/internal/api"
	"jackfield/internal/authority"
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
		h.Links, h.Peer, h.Version, h.DataAt = agentLinks{s}, g.state.agentOf, s.version, s.agentData
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

var errNoAgent = errors.New("its certificate is not one of an agent")

// agentOf tells whose certificate an agent has shown, as listen/inedo asks for it. The name is the one that it has now.
func (s *state) agentOf(ctx context.Context, c *x509.Certificate) (string, context.Context, func(), error) {
	subject, serial, err := authority.ParsePeer(c)
	if err != nil {
		return "", nil, nil, err
	}
	enrolled, known := s.roll.Holder(serial)
	if subject.Kind != authority.Agent || !known {
		return "", nil, nil, errNoAgent
	}
	inForce, release := s.whileInForce(ctx, c)
	return enrolled.Name, inForce, release, nil
}

// agentLinks hears what agents say.
type agentLinks struct{ *Server }

// Registered implements link.AgentHandler.
func (a agentLinks) Registered(l *link.AgentLink, offered []messages.Service) []messages.Published {
	published := a.offers.register(a.generation(), l, offered)
	for _, p := range published {
		if p.Reason != "" {
			a.log.Warn("a service of an agent is not published", "agent", l.Agent, "service", p.Name, "why", p.Reason)
		}
	}
	return published
}

// Renew implements link.AgentHandler.
func (a agentLinks) Renew(l *link.AgentLink, r *messages.Renew) *messages.Renewed {
	ctx, cancel := context.WithTimeout(context.Background(), storePatience)
	defer cancel()
	return a.renewAgent(ctx, l.Agent, r.Request)
}

// Unknown implements link.AgentHandler.
func (a agentLinks) Unknown(l *link.AgentLink, code int32) {
	a.log.Info("an agent said something unknown", "agent", l.Agent, "code", code)
}

// Left implements link.AgentHandler.
func (a agentLinks) Left(l *link.AgentLink) { a.offers.leave(l) }

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
				s.hub.Publish(api.Event{Type: api.AgentGone, Subject: name})
			}
		}
		for name, id := range now {
			if before[name] != id {
				s.hub.Publish(api.Event{Type: api.AgentConnected, Subject: name})
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

// How long an agent may take to answer a question.
const agentPatience = 15 * time.Second
