package config

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"jackfield"
)

var (
	addressOnly = []string{"`address`"}
	websiteOnly = []string{"`address`", "`agent`", "`command`"}
)

const maxAddress = 64 // addresses of one service

var serviceBlock = &block{
	name:  "service",
	label: "NAME",
	doc: "A named TCP byte stream endpoint. Its name is a DNS label; inside a station its full name has the station's behind it, as in " +
		"`console.fpga-1`. Names are compared without case, and `help` is reserved. Exactly one of `address`, `agent`, `command` and `builtin` says how it is reached; `agent` may have an `address`.",
	changes: newSessions,
	attributes: slices.Concat([]attribute{
		{
			name: "listeners", kind: list{of: "listener names"},
			doc: "The listeners that publish it, of protocol `tcpmux`, `https` or `http`. Unset: those of its station. A service that no listener publishes or names is a warning.",
		},
		{
			name: "description", kind: text{what: "string, up to 200 bytes", check: checkDescription},
			doc: "For people.",
		},
		{
			name: "address", kind: textOrList{of: "`\"HOST:PORT\"` or `\"unix:/PATH\"`"},
			doc: "The route `dial`: where the service listens. Names are resolved each time; of several addresses the first that answers is taken.",
		},
		{
			name: "device", kind: text{what: "device name"}, only: addressOnly,
			doc: "The route `mihini`: this [device](#device-name) dials the address, which is one, `\"HOST:PORT\"` with a number as the port, on the device's network; " +
				"without a host it is the device's own `127.0.0.1`. Unset: the server dials.",
		},
		{
			name: "agent", kind: text{what: "agent name", check: checkAgentName},
			doc: "The route `agent`: this agent reaches the service. With `address`, which is one, `\"HOST:PORT\"` with a number as the port, it dials that on its network, if its own allow-list has it; " +
				"without a host it is the agent's own `127.0.0.1`. Without `address`, the service is the one of this full name that the agent offers. The agent needs no [block](#agent-name-or-pattern): most are enrolled.",
		},
		{
			name: "dial_timeout", kind: duration{100 * time.Millisecond, 5 * time.Minute}, fallback: "10s", only: []string{"`address`", "`agent`"},
			doc: "How long reaching the service may take, over all its addresses.",
		},
		{
			name: "send_proxy_protocol", kind: word{"v1", "v2"}, only: addressOnly,
			doc: "Tell the service the client's address in a PROXY protocol header of this version. Unset: no header.",
		},
		{
			name: "builtin", kind: word{"echo", "discard", "time", "daytime", "chargen", "qotd"},
			doc: "The route `builtin`: a small service that the server has itself, as inetd has them.",
		},
		{
			name: "web", kind: boolean{}, fallback: "false", only: websiteOnly,
			doc: "The service speaks HTTP, and is a website for browsers and others that are told to use a listener of protocol `https` or `http`, which must publish it, as their proxy: " +
				"requests for `http://NAME/` go to it, each as a session of its own. `false`: such requests are refused; CONNECT reaches it all the same.",
		},
	}, sessionAttributes, commandAttributes, limitAttributes, onlyWith(commandOnly, userAttributes), onlyWith(commandOnly, programAttributes)),
	blocks: []*block{ruleBlock, resourcesBlock},
}

// sessionAttributes stand in services and in agents.
var sessionAttributes = []attribute{
	{
		name: "idle_timeout", kind: duration{time.Millisecond, math.MaxInt64},
		doc: "Cut a session in which no byte has moved for so long; the cut comes up to a quarter of that late. Unset: never.",
	},
	{
		name: "max_duration", kind: duration{time.Millisecond, math.MaxInt64},
		doc: "Cut a session that has lasted for so long. Unset: never.",
	},
	mapperAttribute,
}

// service is a Service with what is needed to check references.
type service struct {
	*Service
	header    hcl.Range
	listeners []item
	listed    bool     // it or its station lists listeners, good or bad
	inherits  *station // whose listeners hold; nil: its own
	identity  []hcl.Range
	device    item
	agent     item
	website   *hcl.Range // what makes it one; nil: nothing
}

// service decodes a service, of the station if that is not nil.
func (s *section) service(of *station) *Service {
	out := &Service{
		Description: s.text("description"),
		IdleTimeout: s.duration("idle_timeout"),
		MaxDuration: s.duration("max_duration"),
		Limits:      s.limits(),
		Mapper:      s.mapperName(),
		Web:         s.boolean("web"),
		Where:       s.where(s.header),
	}
	if s.has("device") {
		out.Device = strings.ToLower(s.text("device"))
	}
	if s.has("agent") {
		out.Agent = strings.ToLower(s.text("agent"))
	}
	s.route(out)
	set := s.rules(place{ofService: true})
	out.Rules = set.rules
	declared := &service{Service: out, header: s.header, listeners: s.list("listeners"), listed: s.has("listeners"), identity: set.identity,
		device: item{out.Device, s.at("device")}, agent: item{out.Agent, s.at("agent")}}
	name := s.labelName()
	if of != nil {
		out.Station = of.Station
		name += "." + of.Name
		if !s.has("listeners") {
			declared.inherits, declared.listed = of, of.listed
		}
	}
	if jackfield.Name(name) == jackfield.Help {
		s.fail(s.label.at, "Bad name", "%q is reserved by TCPMUX (RFC 1078).", name)
	}
	if out.Web {
		declared.website = &s.attributes["web"].NameRange
	}
	out.Name = jackfield.Name(name)
	if first, again := s.services.add(name, s.label.at, declared); again {
		s.duplicate("service", s.label.at, first)
	}
	return out
}

// route decodes how the service is reached.
func (s *section) route(out *Service) {
	var routes []string
	for _, name := range []string{"agent", "address", "command", "builtin"} {
		if s.has(name) && !(name == "address" && s.has("agent")) {
			routes = append(routes, name)
		}
	}
	switch len(routes) {
	case 0:
		s.missing(s.header, "Service without a route", `One of "address", "agent", "command" and "builtin" must say how the service is reached.`)
	case 1:
		if selected := routes[0]; selected == "agent" {
			s.checkSelected(addressOnly[0]) // what it cannot have of that is reported with the address
		} else {
			s.checkSelected("`" + selected + "`")
		}
		if routes[0] != "command" {
			s.refuseResources()
		}
	default:
		s.fail(s.attributes[routes[1]].NameRange, "Service with several routes", "Only one of %s can be set.", strings.Join(quoteAll(routes), ", "))
	}
	out.Addresses = s.addresses()
	out.Builtin = s.word("builtin")
	out.Command = s.command()
	out.Program = s.program()
	if s.has("address") || s.has("agent") {
		out.DialTimeout = s.duration("dial_timeout")
		out.SendProxyProtocol = s.word("send_proxy_protocol")
	}
}

// checkLinkRoute reports what has no meaning when a device or an agent dials, and says which of them does.
func (s *section) checkLinkRoute() (dialler string) {
	var refused []string
	switch {
	case s.has("agent"):
		dialler, refused = "agent", []string{"device", "send_proxy_protocol"}
	case s.has("device"):
		dialler, refused = "device", []string{"dial_timeout", "send_proxy_protocol"}
	}
	for _, name := range refused {
		if s.has(name) {
			s.fail(s.attributes[name].NameRange, "Argument out of place", "%q may not stand with %q: the %s dials.", name, dialler, dialler)
		}
	}
	return dialler
}

func (s *section) addresses() []string {
	items := s.textOrList("address")
	if len(items) > maxAddress {
		s.bad(s.at("address"), "address", "a service may have at most 64 addresses")
	}
	check := checkDial
	if dialler := s.checkLinkRoute(); dialler != "" {
		check = checkDeviceDial
		if len(items) > 1 {
			s.bad(s.at("address"), "address", "the "+dialler+" dials one address")
		}
	}
	var addresses []string
	for _, a := range items {
		if err := check(a.text); err != nil {
			s.bad(a.at, "address", err.Error())
			continue
		}
		addresses = append(addresses, a.text)
	}
	return addresses
}
