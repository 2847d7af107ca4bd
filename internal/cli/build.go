package cli

import (
	"cmp"
	"fmt"
	"log/slog"

	"jackfield"
	"jackfield/internal/access"
	"jackfield/internal/config"
	"jackfield/internal/gateway"
	"jackfield/internal/listen"
	"jackfield/internal/listen/tcp"
	"jackfield/internal/listen/tcpmux"
	"jackfield/internal/proxyproto"
	"jackfield/internal/route/builtin"
	"jackfield/internal/route/dial"
)

// A door is a listener made ready: where it listens and what serves there.
type door struct {
	address  string
	protocol string
	server   *listen.Server
}

// A builder turns one configuration into one generation of the gateway.
type builder struct {
	config   *config.Config
	gateway  *gateway.Gateway
	services map[jackfield.Name]*gateway.Service
	log      *slog.Logger
}

// build makes the doors of a configuration. The gateway already has what outlives a generation.
func build(c *config.Config, g *gateway.Gateway, log *slog.Logger) ([]door, error) {
	b := &builder{config: c, gateway: g, services: make(map[jackfield.Name]*gateway.Service), log: log}
	g.Global = b.level("global", c.Rules, c.Limits)
	for _, s := range c.Services {
		service, err := b.service(s)
		if err != nil {
			return nil, fmt.Errorf("%s: service %q: %w", s.Where, s.Name, err)
		}
		b.services[s.Name] = service
	}
	var doors []door
	for _, l := range c.Listeners {
		doors = append(doors, b.door(l))
	}
	return doors, nil
}

// level makes the demands of one level. A limit without a message of its own has the global one.
func (b *builder) level(name string, rules []access.Rule, limits access.Limits) gateway.Level {
	var l gateway.Level
	limits.Message = cmp.Or(limits.Message, b.config.Limits.Message)
	if len(rules) > 0 {
		l.ACL = access.NewACL(name, rules)
	}
	if limit := access.NewLimit(name, limits); limit != nil {
		l.Limit = limit
	}
	return l
}

func (b *builder) service(s *config.Service) (*gateway.Service, error) {
	route, err := newRoute(s)
	if err != nil {
		return nil, err
	}
	service := &gateway.Service{
		Name:        s.Name,
		Route:       route,
		IdleTimeout: s.IdleTimeout,
		MaxDuration: s.MaxDuration,
	}
	if s.Station != nil {
		service.Levels = append(service.Levels, b.level("station."+s.Station.Name, s.Station.Rules, access.Limits{}))
	}
	service.Levels = append(service.Levels, b.level("service."+string(s.Name), s.Rules, s.Limits))
	return service, nil
}

func newRoute(s *config.Service) (jackfield.Route, error) {
	if s.Builtin != "" {
		return builtin.New(s.Builtin)
	}
	return dial.New(dial.Options{
		Addresses: s.Addresses,
		Timeout:   s.DialTimeout,
		SendProxy: map[string]proxyproto.Version{"v1": 1, "v2": 2}[s.SendProxyProtocol],
	})
}

func (b *builder) door(l *config.Listener) door {
	listener := &gateway.Listener{
		Name:     l.Name,
		Protocol: l.Protocol,
		Level:    b.level("listener."+l.Name, l.Rules, l.Limits),
		Services: b.published(l),
	}
	return door{address: l.Listen, protocol: l.Protocol, server: &listen.Server{
		Name:      l.Name,
		Handler:   b.handler(l, listener),
		Log:       b.log,
		ProxyFrom: l.ProxyProtocolFrom,
	}}
}

func (b *builder) published(l *config.Listener) map[jackfield.Name]*gateway.Service {
	published := make(map[jackfield.Name]*gateway.Service)
	if l.Service != "" {
		published[l.Service] = b.services[l.Service]
	}
	for _, s := range b.config.Services {
		for _, name := range s.Listeners {
			if name == l.Name {
				published[s.Name] = b.services[s.Name]
			}
		}
	}
	return published
}

func (b *builder) handler(l *config.Listener, listener *gateway.Listener) listen.Handler {
	if l.Protocol == "tcp" {
		return &tcp.Handler{
			Gateway:     b.gateway,
			Listener:    listener,
			Service:     l.Service,
			TellLimited: b.hasLimitMessage(l),
		}
	}
	return &tcpmux.Handler{
		Gateway:       b.gateway,
		Listener:      listener,
		NameTimeout:   l.NameTimeout,
		AcceptMessage: l.AcceptMessage,
		HelpListsAll:  l.HelpListsAll,
	}
}

// hasLimitMessage says whether a client that a limit turns away at this listener of protocol tcp is to be told so.
func (b *builder) hasLimitMessage(l *config.Listener) bool {
	message := cmp.Or(b.config.Limits.Message, l.Limits.Message)
	for _, s := range b.config.Services {
		if s.Name == l.Service {
			message = cmp.Or(message, s.Limits.Message)
		}
	}
	return message != ""
}
