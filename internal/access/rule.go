package access

import (
	"net/netip"
	"slices"
	"strings"

	"jackfield"
)

// A Rule is one entry of an ACL. An attribute that is empty is not named and matches everything.
type Rule struct {
	Allow bool

	// From holds networks. A client's address and a network that is IPv4-mapped are IPv4, so "::/0" holds every IPv6
	// address and no IPv4 address. The zone of a link-local address is not looked at.
	From []netip.Prefix

	// Users and Groups match exactly, case included. "*" is any user, or any member of any group, and never one who
	// proved no identity.
	Users  []string
	Groups []string

	// Services holds patterns that CheckPattern accepts. A request that names no service matches "*" only.
	Services []string

	When Condition

	// Where is the rule's place in the configuration, such as "jackfield.hcl:14", for log and audit.
	Where string
}

// A Condition is what a rule demands beyond lists. It is called by many goroutines at once. An error denies the request.
type Condition func(*jackfield.Request) (bool, error)

// rule is a Rule made ready: networks in their canonical form, patterns in lower case, the decision made beforehand.
type rule struct {
	Rule
	decision jackfield.Decision
}

func compile(r Rule, by string) rule {
	from := make([]netip.Prefix, len(r.From))
	for i, network := range r.From {
		from[i] = Canonical(network)
	}
	services := make([]string, len(r.Services))
	for i, pattern := range r.Services {
		services[i] = strings.ToLower(pattern)
	}
	verb := "denied"
	if r.Allow {
		verb = "allowed"
	}
	reason := verb + " by rule"
	if r.Where != "" {
		reason += " at " + r.Where
	}
	r.From, r.Services = from, services
	r.Users, r.Groups = slices.Clone(r.Users), slices.Clone(r.Groups)
	return rule{Rule: r, decision: jackfield.Decision{Allow: r.Allow, By: by, Reason: reason}}
}

// needsMore says whether the rule asks for anything but the client's address.
func (r *rule) needsMore() bool {
	return len(r.Users) > 0 || len(r.Groups) > 0 || len(r.Services) > 0 || r.When != nil
}

func (r *rule) matchesAddress(source netip.Addr) bool {
	if len(r.From) == 0 {
		return true
	}
	source = canonicalAddress(source)
	return slices.ContainsFunc(r.From, func(network netip.Prefix) bool { return network.Contains(source) })
}

// matches says whether every named attribute matches. The condition comes last: it is the dearest.
func (r *rule) matches(asked *jackfield.Request) (bool, error) {
	if !r.matchesAddress(asked.Source.Addr()) || !r.matchesIdentity(asked.Identity) || !r.matchesService(asked.Service) {
		return false, nil
	}
	if r.When == nil {
		return true, nil
	}
	return r.When(asked)
}

func (r *rule) matchesIdentity(who jackfield.Identity) bool {
	user := len(r.Users) == 0 || who.User != "" && containsOrAny(r.Users, who.User)
	group := len(r.Groups) == 0 || slices.ContainsFunc(who.Groups, func(g string) bool { return containsOrAny(r.Groups, g) })
	return user && group
}

func containsOrAny(names []string, name string) bool {
	return slices.Contains(names, name) || slices.Contains(names, "*")
}

func (r *rule) matchesService(name jackfield.Name) bool {
	if len(r.Services) == 0 {
		return true
	}
	return slices.ContainsFunc(r.Services, func(pattern string) bool { return matchPattern(pattern, string(name)) })
}

func canonicalAddress(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// Canonical returns a network as it is compared with clients' addresses: IPv4-mapped ones are IPv4, and the bits beyond
// its length are 0.
func Canonical(p netip.Prefix) netip.Prefix {
	const mappedBits = 96 // of ::ffff:0:0/96, RFC 4291 section 2.5.5.2
	if p.Addr().Is4In6() && p.Bits() >= mappedBits {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mappedBits)
	}
	return p.Masked()
}
