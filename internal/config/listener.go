package config

import (
	"net/netip"
	"slices"
	"time"

	"jackfield"
)

// A protocol is what a listener can speak.
type protocol struct {
	name       string
	names      bool // its clients name the service; otherwise the listener does
	identifies bool // its clients can prove who they are
}

var protocols = []protocol{
	{name: "tcpmux", names: true},
	{name: "tcp"},
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

const (
	tcpmuxOnly = `"tcpmux"`
	tcpOnly    = `"tcp"`
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
			doc: "What it speaks: `tcpmux` serves every service that lists this listener, by name; `tcp` serves one.",
		},
		{
			name: "listen", kind: text{what: "`\"HOST:PORT\"`", check: checkListen}, required: true, changes: atOnce,
			doc: "Address and port to listen on. Without a host: all addresses. Port 0: one that is free.",
		},
		{
			name: "service", kind: text{what: "service name"}, required: true, only: tcpOnly,
			doc: "The service that every connection gets.",
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
	}, limitAttributes, userAttributes, programAttributes),
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

func (s *section) listener() *Listener {
	p := protocolNamed(s.word("protocol"))
	out := &Listener{
		Name:          s.labelName(),
		Protocol:      p.name,
		Listen:        s.text("listen"),
		NameTimeout:   s.duration("name_timeout"),
		HelpListsAll:  s.word("help_lists") == "all",
		AcceptMessage: s.text("accept_message"),
		Limits:        s.limits(),
		Mapper:        s.mapperName(),
		Program:       s.program(),
		Where:         s.where(s.header),
	}
	in := place{}
	if p.name != "" {
		s.checkSelected(`"` + p.name + `"`)
		if !p.identifies {
			in.anonymous = p.name
		}
	}
	out.Rules = s.rules(in).rules
	out.ProxyProtocolFrom = s.proxies()
	s.claim(out.Listen, s.at("listen"))
	declared := &listener{Listener: out, protocol: p}
	if p.name != "" && !p.names {
		declared.service = s.servedBy()
		out.Service = jackfield.Name(declared.service.text)
	}
	if first, again := s.listeners.add(out.Name, s.label.at, declared); again {
		s.duplicate("listener", s.label.at, first)
	}
	return out
}

// servedBy returns the service of a listener whose clients name none.
func (s *section) servedBy() item {
	if !s.has("service") {
		return item{}
	}
	name, err := jackfield.ParseName(s.text("service"))
	if err != nil {
		s.bad(s.at("service"), "service", `it must be the name of a service, such as "console.fpga-1"`)
		return item{}
	}
	return item{string(name), s.at("service")}
}

func (s *section) proxies() []netip.Prefix {
	inner := s.one(proxyProtocolBlock)
	if inner == nil {
		return nil
	}
	return inner.networks("from")
}
