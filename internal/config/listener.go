package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"jackfield"
)

// A protocol is what a listener can speak.
type protocol struct {
	name       string
	names      bool   // its clients name the service; otherwise the listener does
	identifies bool   // its clients can prove who they are
	linked     string // it has no clients: "devices" or "agents" dial in
}

var protocols = []protocol{
	{name: "tcpmux", names: true},
	{name: "tcp"},
	{name: "mihini", linked: "devices"},
	{name: "https", names: true, identifies: true},
	{name: "http", names: true, identifies: true},
	{name: "agent-data", linked: "agents"},
}

func protocolNames() word {
	var names word
	for _, p := range protocols {
		names = append(names, p.name)
	}
	return names
}

// protocolNamed returns the zero protocol for a name that is none.
func protocolNamed(name string) protocol {
	for _, p := range protocols {
		if p.name == name {
			return p
		}
	}
	return protocol{}
}

var (
	tcpmuxOnly = []string{`"tcpmux"`}
	tcpOnly    = []string{`"tcp"`}
	mihiniOnly = []string{`"mihini"`}
)

var listenerBlock = &block{
	name:     "listener",
	label:    "NAME",
	doc:      "A server socket. Its name is a DNS label. What it says of programs holds for those that its clients start.",
	changes:  newSessions,
	selector: "protocol = ",
	attributes: slices.Concat([]attribute{
		{
			name: "protocol", kind: protocolNames(), required: true,
			doc: "What it speaks: `tcpmux` serves every service that lists this listener, by name; `tcp` serves one; by `mihini` devices dial in, see [device](#device-name). " +
				"`https` is the API, whose callers prove who they are, and publishes services that list this listener, by HTTP CONNECT; `http` is the same without TLS, for a reverse proxy or tools on this machine. " +
				"To `agent-data`, which is without TLS, come the streams of [agents](#agent-name-or-pattern) with `encryption = \"none\"`; beside `listen` only the blocks `rule` and `proxy_protocol` stand with it.",
		},
		{
			name: "listen", kind: text{what: "`\"HOST:PORT\"`", check: checkListenRange}, required: true, changes: atOnce,
			doc: "Address and port to listen on. Without a host: all addresses. Port 0: one that is free. With `services`, a range of ports, `\"HOST:FIRST-LAST\"`.",
		},
		{
			name: "service", kind: text{what: "service name"}, only: tcpOnly,
			doc: "The service that every connection gets. Either this or `services` is required.",
		},
		{
			name: "services", kind: list{of: "service names"}, only: tcpOnly,
			doc: "The services of a range of ports, in their order: the first port serves the first one. Each port is a listener of its own, which is named after this one and its port, as in `meters-7001`.",
		},
		{
			name: "when_down", kind: word{"refuse", "accept_close"}, fallback: "refuse", only: tcpOnly,
			doc: "What becomes of clients while the [device](#device-name) of the service is not connected: the port is closed, so that they are refused by the system, or they are accepted and closed at once.",
		},
		{
			name: "name_timeout", kind: duration{time.Second, 5 * time.Minute}, fallback: "10s", only: tcpmuxOnly,
			doc: "How long a client may take to send the name.",
		},
		{
			name: "help_lists", kind: word{"visible", "all"}, fallback: "visible", only: tcpmuxOnly,
			doc: "What the answer to `help` lists: the services that this client may use, or all that this listener publishes.",
		},
		{
			name: "accept_message", kind: text{what: "string of printable ASCII, up to 200 bytes", check: checkMessage}, only: tcpmuxOnly,
			doc: "What follows the `+` that accepts a client. Unset: nothing.",
		},
		mapperAttribute,
		{
			name: "listen_timeout", kind: duration{time.Second, time.Minute}, fallback: "10s", only: mihiniOnly,
			doc: "How long a device may take to send its LISTEN.",
		},
	}, webAttributes, limitAttributes, userAttributes, programAttributes),
	blocks: []*block{ruleBlock, proxyProtocolBlock, resourcesBlock},
}

var proxyProtocolBlock = &block{
	name: "proxy_protocol",
	doc: "Clients from these networks are proxies: they must send a PROXY protocol header, version 1 or 2, and the address in it " +
		"is the client's. Other clients connect without a header; one that they send is taken for data.",
	changes: newSessions,
	attributes: []attribute{
		{
			name: "from", kind: list{of: "networks (CIDR) or addresses"}, required: true,
			doc: "Where the proxies are.",
		},
	},
}

// listener is a Listener with what is needed to check references.
type listener struct {
	*Listener
	protocol protocol
	service  item
}

// listener decodes a block, which is one listener, or one for each port of a range.
func (s *section) listener() []*Listener {
	p := protocolNamed(s.word("protocol"))
	out := &Listener{
		Name:          s.labelName(),
		Protocol:      p.name,
		Listen:        s.text("listen"),
		NameTimeout:   s.duration("name_timeout"),
		HelpListsAll:  s.word("help_lists") == "all",
		AcceptMessage: s.text("accept_message"),
		ListenTimeout: s.duration("listen_timeout"),
		Limits:        s.limits(),
		Mapper:        s.mapperName(),
		Program:       s.program(),
		Where:         s.where(s.header),
	}
	s.web(out)
	out.Agents = p.name == "https" && s.boolean("agents")
	in := place{}
	if p.name != "" {
		s.checkSelected(`"` + p.name + `"`)
		s.checkTLS(out)
		if !p.identifies {
			in.anonymous = p.name
		}
	}
	out.Rules = s.rules(in).rules
	out.ProxyProtocolFrom = s.proxies()
	out.CloseWhenDown = s.word("when_down") == "accept_close"
	if p.linked == "agents" {
		s.refuseSessions(p.name)
	}
	if p.name == "tcp" {
		return s.ports(out, p)
	}
	if addresses := portRange(out.Listen); len(addresses) > 1 {
		s.bad(s.at("listen"), "listen", `a range of ports is for protocol "tcp" with "services"`)
	}
	s.declare(out, p, item{})
	return []*Listener{out}
}

// refuseSessions reports what says something of sessions or programs where there are none.
func (s *section) refuseSessions(protocol string) {
	for _, a := range s.schema.attributes {
		if s.has(a.name) && !a.required && len(a.only) == 0 {
			s.fail(s.attributes[a.name].NameRange, "Argument out of place", "%q has no use with protocol = %q.", a.name, protocol)
		}
	}
	for _, b := range s.blocks.OfType(resourcesBlock.name) {
		s.fail(b.DefRange, "Block out of place", "%q has no use with protocol = %q.", b.Type, protocol)
	}
}

// ports makes the listeners of protocol "tcp", one for each port.
func (s *section) ports(of *Listener, p protocol) []*Listener {
	services, addresses := s.served(), portRange(of.Listen)
	switch {
	case s.has("service") && s.has("services"):
		s.fail(s.attributes["services"].NameRange, "Listener with two arguments for one thing", `Only one of "service" and "services" can be set.`)
	case !s.has("service") && !s.has("services"):
		s.missing(s.header, "Missing required argument", `The argument "service" is required: the service that every connection gets; or "services", for a range of ports.`)
	case s.has("services") && len(addresses) != len(services) && of.Listen != "":
		s.bad(s.at("services"), "services", fmt.Sprintf("the ports are %d and the services %d", len(addresses), len(services)))
	case s.has("service") && len(addresses) > 1:
		s.bad(s.at("listen"), "listen", `a range of ports needs "services", one for each`)
	}
	if !s.has("services") {
		s.declare(of, p, services...)
		return []*Listener{of}
	}
	var all []*Listener
	for i := range min(len(addresses), len(services)) {
		port := *of
		port.Listen = addresses[i]
		_, number, _ := net.SplitHostPort(port.Listen)
		port.Name += "-" + number
		s.declare(&port, p, services[i])
		all = append(all, &port)
	}
	return all
}

// declare makes a listener known to what refers to it.
func (s *section) declare(out *Listener, p protocol, service ...item) {
	s.claim(out.Listen, s.at("listen"))
	declared := &listener{Listener: out, protocol: p}
	if len(service) > 0 {
		declared.service = service[0]
		out.Service = jackfield.Name(declared.service.text)
	}
	if first, again := s.listeners.add(out.Name, s.label.at, declared); again {
		s.duplicate("listener", s.label.at, first)
	}
}

// served returns the services of a listener whose clients name none.
func (s *section) served() []item {
	var given []item
	if s.has("service") {
		given = []item{{s.text("service"), s.at("service")}}
	}
	given = append(given, s.list("services")...)
	for i, service := range given {
		name, err := jackfield.ParseName(service.text)
		if err != nil {
			s.fail(service.at, "Bad name of a service", `%sit must be the name of a service, such as "console.fpga-1".`, s.source(service.at))
		}
		given[i].text = string(name)
	}
	return given
}

func (s *section) proxies() []netip.Prefix {
	inner := s.one(proxyProtocolBlock)
	if inner == nil {
		return nil
	}
	return inner.networks("from")
}

// Identifies says whether clients of the listener can prove who they are.
func (l *Listener) Identifies() bool { return protocolNamed(l.Protocol).identifies }
