package config

import (
	"errors"
	"net/netip"

	"github.com/hashicorp/hcl/v2"

	"jackfield/internal/access"
)

var ruleBlock = &block{
	name:  "rule",
	label: "allow or deny",
	doc: "An entry of an access list. The first rule that matches decides; where there are rules and none matches, the answer is no; no rules allow. " +
		"A rule matches when every argument in it matches; without arguments it matches everything. " +
		"A connection is held against the rules at the top, then those of its listener, then those of the station and of the service: all must allow.",
	changes: newSessions,
	attributes: []attribute{
		{
			name: "from", kind: list{of: "networks (CIDR) or addresses"},
			doc: "The client's address. An IPv4-mapped IPv6 address counts as IPv4: `\"::/0\"` holds no IPv4 address.",
		},
		{
			name: "users", kind: list{of: "names"},
			doc: "Who the client proved to be; `\"*\"` is anybody who proved it. Names are compared with case.",
		},
		{
			name: "groups", kind: list{of: "names"},
			doc: "A group that the client proved to be in; `\"*\"` is any group. Names are compared with case.",
		},
		{
			name: "services", kind: list{of: "patterns"},
			doc: "The service that the client asks for, such as `\"console.*\"`: a `*` stands for any characters but the dot, and `\"*\"` alone for every service. " +
				"Not in the rules of a service.",
		},
		{
			name: "when", kind: expression{},
			doc: "Anything else; see [Conditions](#conditions).",
		},
	},
}

// place is where rules stand, as far as that decides what may be in them.
type place struct {
	ofService bool   // they are asked about one service only
	anonymous string // the protocol, where it never has an identity
}

// ruleSet is a list of rules and the places in it that ask for an identity.
type ruleSet struct {
	rules    []access.Rule
	identity []hcl.Range
}

func (s *section) rules(p place) ruleSet {
	var set ruleSet
	for _, inner := range s.each(ruleBlock) {
		set.rules = append(set.rules, inner.rule(p))
		for _, name := range []string{"users", "groups"} {
			if inner.has(name) {
				set.identity = append(set.identity, inner.attributes[name].Range)
			}
		}
	}
	return set
}

func (s *section) rule(p place) access.Rule {
	if label := s.label.text; label != "allow" && label != "deny" {
		s.fail(s.label.at, "Bad rule", "%sa rule is \"allow\" or \"deny\".%s", s.source(s.label.at), didYouMean(label, []string{"allow", "deny"}))
	}
	if p.anonymous != "" {
		for _, name := range []string{"users", "groups"} {
			if s.has(name) {
				s.fail(s.attributes[name].Range, "Rule needs an identity", "Protocol %q cannot tell who the client is, so %q would never match.", p.anonymous, name)
			}
		}
	}
	if p.ofService && s.has("services") {
		s.fail(s.attributes["services"].Range, "Argument out of place", `"services" has no use in a rule of a service, which is asked for that service only.`)
	}
	return access.Rule{
		Allow:    s.label.text == "allow",
		From:     s.networks("from"),
		Users:    s.checked("users", checkPrincipal),
		Groups:   s.checked("groups", checkPrincipal),
		Services: s.checked("services", access.CheckPattern),
		When:     s.condition("when"),
		Where:    s.where(s.header),
	}
}

// checked returns a list of strings that check finds right.
func (s *section) checked(name string, check func(string) error) []string {
	var good []string
	for _, element := range s.list(name) {
		if err := check(element.text); err != nil {
			s.bad(element.at, name, err.Error())
			continue
		}
		good = append(good, element.text)
	}
	return good
}

func checkPrincipal(s string) error {
	if s == "" {
		return errors.New("a name is empty")
	}
	return nil
}

// networks returns a list of networks; an address is a network of one.
func (s *section) networks(name string) []netip.Prefix {
	var networks []netip.Prefix
	for _, element := range s.list(name) {
		network, err := parseNetwork(element.text)
		if err != nil {
			s.bad(element.at, name, err.Error())
			continue
		}
		networks = append(networks, network)
	}
	return networks
}

// parseNetwork returns the network in its canonical form. The error does not quote s.
func parseNetwork(s string) (netip.Prefix, error) {
	if network, err := netip.ParsePrefix(s); err == nil {
		return access.Canonical(network), nil
	}
	if address, err := netip.ParseAddr(s); err == nil && address.Zone() == "" {
		return access.Canonical(netip.PrefixFrom(address, address.BitLen())), nil
	}
	return netip.Prefix{}, errors.New(`a network is an address with or without a length, such as "10.0.0.0/8" or "2001:db8::7"`)
}
