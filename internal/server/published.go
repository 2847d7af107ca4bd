package server

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"jackfield"
	"jackfield/internal/api"
	"jackfield/internal/config"
	"jackfield/internal/gateway"
)

// published is what the API knows of services.
type published struct{ *Server }

// Services asks the rules of each listener what the viewer may use there. At listeners that know nobody, the viewer is nobody.
func (p published) Services(ctx context.Context, v api.Viewer) []api.Service {
	g := p.generation()
	reach := make(map[jackfield.Name][]api.Reach)
	for i, l := range g.config.Listeners { // servers are in their order
		listener := g.listeners[l.Name]
		for _, name := range g.seen(ctx, l, listener, v) {
			reach[name] = append(reach[name], p.reach(g, i, name))
		}
	}
	var list []api.Service
	for _, s := range g.config.Services {
		if reach[s.Name] != nil || v.Admin {
			list = append(list, api.Service{
				Name: s.Name, State: p.stateOf(s), Reach: reach[s.Name], Route: g.routes[s.Name],
			})
		}
	}
	for name, offered := range p.offers.list() {
		if reach[name] != nil || v.Admin {
			list = append(list, api.Service{
				Name: name, State: api.Available, Reach: reach[name], Route: offered.service.Route.String(),
			})
		}
	}
	return list
}

// seen returns the names of the services of a listener that the viewer may use there.
func (g *generation) seen(ctx context.Context, l *config.Listener, listener *gateway.Listener, v api.Viewer) []jackfield.Name {
	if v.Admin {
		var names []jackfield.Name
		for name := range listener.Published() {
			names = append(names, name)
		}
		return names
	}
	who := jackfield.Identity{Proof: jackfield.ProofNone}
	if l.Identifies() {
		who = v.Identity
	}
	return g.gateway.Visible(ctx, listener, netip.AddrPortFrom(v.Source, 0), who)
}

// reach says how to reach a service by the listener at that index. The port is the one that is open, if it is.
func (p published) reach(g *generation, index int, name jackfield.Name) api.Reach {
	l := g.config.Listeners[index]
	r := api.Reach{Listener: l.Name, Protocol: l.Protocol}
	host, port, _ := net.SplitHostPort(l.Listen)
	if address := p.sockets.Addr(g.servers[index]); address != nil {
		_, port, _ = net.SplitHostPort(address.String())
	}
	r.Address = host
	r.Port, _ = strconv.Atoi(port)
	if l.Service == "" {
		r.Name = string(name)
	}
	return r
}

// stateOf tells whether a service can be reached, as far as the server knows: devices and agents are watched, addresses are not.
func (s *Server) stateOf(service *config.Service) api.State {
	switch {
	case service.Agent != "":
		return s.stateByAgent(service)
	case service.Device != "" && !s.devices.Connected(service.Device):
		return api.Away
	case service.Device != "" || service.Builtin != "":
		return api.Available
	}
	return api.Unknown
}

func (s *Server) stateByAgent(service *config.Service) api.State {
	l := s.agents.Link(service.Agent)
	if l == nil || len(service.Addresses) == 0 && !l.Offers(string(service.Name)) {
		return api.Away
	}
	return api.Available
}

func (p published) Lease(station string) string {
	stations := p.generation().config.Stations
	i := slices.IndexFunc(stations, func(s *config.Station) bool { return s.Name == station })
	if i < 0 {
		return "" // a reload has taken it away meanwhile
	}
	return stations[i].Lease
}
