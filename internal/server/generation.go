package server

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"

	"jackfield"
	"jackfield/internal/access"
	"jackfield/internal/access/mapper"
	"jackfield/internal/api"
	"jackfield/internal/config"
	"jackfield/internal/gateway"
	"jackfield/internal/link"
	"jackfield/internal/listen"
	"jackfield/internal/listen/https"
	"jackfield/internal/listen/inedo"
	"jackfield/internal/listen/tcp"
	"jackfield/internal/listen/tcpmux"
	"jackfield/internal/proxyproto"
	"jackfield/internal/route/agent"
	"jackfield/internal/route/builtin"
	"jackfield/internal/route/command"
	"jackfield/internal/route/dial"
	"jackfield/internal/route/mihini"
)

// A generation is one configuration at work. It does not change; a reload makes the next one.
type generation struct {
	*builder
	config    *config.Config
	gateway   *gateway.Gateway
	listeners map[string]*gateway.Listener // by name
	servers   []*listen.Server             // of the listeners

	// limits are put in force when the generation is: they go on counting the sessions of earlier ones.
	limits map[*access.Limit]access.Limits

	mappers map[string]*mapper.Mapper // by name; started when the generation is put in force

	routes map[jackfield.Name]string // in the configuration's words
	web    []*https.Handler          // to be closed when the generation retires

	failures []error
}

// A builder makes generations. Its parts outlive them.
type builder struct {
	gateway  gateway.Gateway // without what a generation says
	limits   *access.LimitTable
	mappers  *mapper.Table
	devices  *link.Devices
	agents   *link.Agents
	offers   *offers
	launcher *command.Launcher
	log      *slog.Logger

	// What only a server has, not a check of a configuration.
	state    *state
	api      *api.Server
	observer https.Observer

	placesMu sync.Mutex
	places   map[string]*https.Places // of listeners, by name; guarded by placesMu
}

// build makes a generation. It opens nothing and changes nothing. Its error has all that is wrong.
func (b *builder) build(c *config.Config) (*generation, error) {
	g := &generation{
		builder:   b,
		config:    c,
		gateway:   new(b.gateway),
		listeners: make(map[string]*gateway.Listener),
		limits:    make(map[*access.Limit]access.Limits),
		mappers:   make(map[string]*mapper.Mapper),
		routes:    make(map[jackfield.Name]string),
	}
	for _, m := range c.Mappers {
		g.addMapper(m)
	}
	g.gateway.Global = g.level("global", c.Rules, c.Limits, c.Mapper)
	for _, l := range c.Listeners {
		g.servers = append(g.servers, g.server(l))
	}
	g.checkUnpublished()
	for _, a := range c.Agents {
		if a.Inbound() {
			g.checkInbound(a)
		}
	}
	if err := peopleOf(c).Check(); err != nil {
		g.fail(err)
	}
	if len(g.failures) > 0 {
		g.retire()
	}
	return g, errors.Join(g.failures...)
}

// retire ends what the generation has begun and the next one does not go on with. Requests that run may go on for a while.
func (g *generation) retire() {
	var closing sync.WaitGroup
	for _, handler := range g.web {
		closing.Go(handler.Close)
	}
	closing.Wait()
}

// level makes the demands of one level. A limit without a message of its own has the global one.
func (g *generation) level(name string, rules []access.Rule, limits access.Limits, mapper string) gateway.Level {
	limit := g.builder.limits.Get(name)
	limits.Message = cmp.Or(limits.Message, g.config.Limits.Message)
	g.limits[limit] = limits
	l := gateway.Level{Limit: limit}
	if len(rules) > 0 {
		l.ACL = access.NewACL(name, rules)
	}
	if m := g.mappers[mapper]; m != nil {
		l.Mapper = m
	}
	return l
}

// enforce puts the generation's limits and mappers in force.
func (g *generation) enforce() {
	for limit, limits := range g.limits {
		limit.Configure(limits)
	}
	g.builder.mappers.Use(slices.Collect(maps.Values(g.mappers)))
}

func (g *generation) addMapper(c *config.Mapper) {
	m, err := g.builder.mappers.Get(mapper.Options{
		Name:           c.Name,
		Path:           c.Path,
		Args:           c.Args,
		User:           c.User,
		Env:            c.Env,
		EnvKeep:        c.EnvKeep,
		Nice:           c.Nice,
		Timeout:        c.Timeout,
		MaxProcesses:   c.MaxProcesses,
		Batch:          c.Batch,
		Warm:           c.Warm,
		LeaveHung:      !c.KillHung,
		Cache:          c.Cache,
		ShowReason:     c.ShowReason,
		Resolve:        c.Resolve,
		Accept:         c.Accept,
		MaxConnections: c.MaxConnections,
	})
	if err != nil {
		g.fail(fmt.Errorf("%s: mapper %q: %w", c.Where, c.Name, err))
		return
	}
	g.mappers[c.Name] = m
}

// service makes a service as a listener publishes it; l is nil for one that none publishes.
func (g *generation) service(l *config.Listener, s *config.Service) *gateway.Service {
	route, err := g.route(l, s)
	if err != nil {
		g.fail(fmt.Errorf("%s: service %q: %w", s.Where, s.Name, err))
	}
	if err == nil {
		g.routes[s.Name] = route.String()
	}
	service := &gateway.Service{
		Name:        s.Name,
		Route:       route,
		Answers:     s.Command != nil && s.Command.Dedicated,
		IdleTimeout: s.IdleTimeout,
		MaxDuration: s.MaxDuration,
	}
	if s.Station != nil {
		service.Levels = append(service.Levels, g.level("station."+s.Station.Name, s.Station.Rules, access.Limits{}, s.Station.Mapper))
	}
	service.Levels = append(service.Levels, g.level("service."+string(s.Name), s.Rules, s.Limits, s.Mapper))
	return service
}

// fail notes what is wrong, once: a service is made for each of its listeners.
func (g *generation) fail(err error) {
	for _, known := range g.failures {
		if known.Error() == err.Error() {
			return
		}
	}
	g.failures = append(g.failures, err)
}

func (g *generation) route(l *config.Listener, s *config.Service) (jackfield.Route, error) {
	switch {
	case s.Builtin != "":
		return builtin.New(s.Builtin)
	case s.Command != nil:
		return newCommand(s.Command, g.config.ProgramOf(l, s), g.launcher, g.log)
	case s.Agent != "" && len(s.Addresses) > 0:
		return agent.Address(g.agents, s.Agent, withHost(s.Addresses[0])), nil
	case s.Agent != "":
		return agent.Offered(g.agents, s.Agent, s.Name), nil
	case s.Device != "":
		return mihini.New(g.devices, s.Device, s.Addresses[0])
	}
	return dial.New(dial.Options{
		Addresses: s.Addresses,
		Timeout:   s.DialTimeout,
		SendProxy: map[string]proxyproto.Version{"v1": proxyproto.V1, "v2": proxyproto.V2}[s.SendProxyProtocol],
	})
}

func (g *generation) server(l *config.Listener) *listen.Server {
	listener := &gateway.Listener{
		Name:     l.Name,
		Protocol: l.Protocol,
		Level:    g.level("listener."+l.Name, l.Rules, l.Limits, l.Mapper),
		Services: g.published(l),
	}
	if g.offers != nil {
		listener.Offered = g.offers.at(l.Name)
	}
	g.listeners[l.Name] = listener
	return &listen.Server{
		Name:      l.Name,
		Address:   l.Listen,
		Handler:   g.handler(l, listener),
		Log:       g.log,
		ProxyFrom: l.ProxyProtocolFrom,
	}
}

func (g *generation) published(l *config.Listener) map[jackfield.Name]*gateway.Service {
	published := make(map[jackfield.Name]*gateway.Service)
	for _, s := range g.config.Services {
		if s.Name == l.Service || slices.Contains(s.Listeners, l.Name) {
			published[s.Name] = g.service(l, s)
		}
	}
	return published
}

// checkUnpublished finds what is wrong with services that no listener has, for check.
func (g *generation) checkUnpublished() {
	for _, s := range g.config.Services {
		published := slices.ContainsFunc(g.servers, func(l *listen.Server) bool {
			return g.listeners[l.Name].Services[s.Name] != nil
		})
		if !published {
			g.service(nil, s)
		}
	}
}

func (g *generation) handler(l *config.Listener, listener *gateway.Listener) listen.Handler {
	switch l.Protocol {
	case "tcp":
		return &tcp.Handler{
			Gateway:       g.gateway,
			Listener:      listener,
			Service:       l.Service,
			TellLimited:   g.hasLimitMessage(l),
			CloseWhenDown: l.CloseWhenDown,
		}
	case "mihini":
		return g.deviceHandler(l, listener)
	case "https", "http":
		return g.webHandler(l, listener)
	case "agent-data":
		return inedo.Plain{Handler: g.agentHandler(listener)}
	}
	return &tcpmux.Handler{
		Gateway:       g.gateway,
		Listener:      listener,
		NameTimeout:   l.NameTimeout,
		AcceptMessage: l.AcceptMessage,
		HelpListsAll:  l.HelpListsAll,
	}
}

// hasLimitMessage says whether a client that a limit turns away at this listener of protocol tcp is to be told so.
func (g *generation) hasLimitMessage(l *config.Listener) bool {
	message := cmp.Or(g.config.Limits.Message, l.Limits.Message)
	for _, s := range g.config.Services {
		if s.Name == l.Service {
			message = cmp.Or(message, s.Limits.Message)
		}
	}
	return message != ""
}

// withHost completes ":port", which means the agent's own machine.
func withHost(address string) string {
	if strings.HasPrefix(address, ":") {
		return "127.0.0.1" + address
	}
	return address
}
