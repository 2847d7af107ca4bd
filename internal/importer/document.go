package importer

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// document is what will be written: entries in the order of the source.
type document struct {
	entries []*entry
	notes   []string // on the whole, for the head of the file
}

// An entry is what one entry of the source becomes: a service with the listeners of its own port, a service for the TCPMUX
// listeners, such listeners, or comments only.
type entry struct {
	where     string // FILE:LINE
	asked     string // the name in the source
	remarks   []string
	notes     []string // on what has no equal
	listeners []*listener
	service   *service
}

// A listener is a server socket.
type listener struct {
	name   string // allotted at the end
	mux    bool   // it speaks TCPMUX; otherwise it serves the service of its entry
	host   string // address or name; empty: all addresses of the family
	port   int
	family family
	limits limits
	rules  []rule
}

// A family says which clients a listener without a host is for.
type family int

const (
	anyFamily family = iota
	onlyIPv4
	onlyIPv6
)

// A service has an address, a builtin or a program.
type service struct {
	name    string // allotted at the end
	mux     bool   // published by the TCPMUX listeners
	address string
	builtin string
	program *program
	limits  limits
	rules   []rule
}

// A program is a service in inetd's way.
type program struct {
	path        string
	args        []string // without the zeroth
	arg0        string   // empty: the path
	dedicated   bool     // of TCPMUX: it writes the "+" itself
	user, group string
	umask       string
	env         []variable
	keep        []string
	nice        int
	limits      []limit
}

type variable struct{ name, value string }

type limit struct {
	name  string
	value uint64
}

// limits are those of sessions. Zero values are no limit.
type limits struct {
	sessions, sessionsPerSource int
	rate, ratePerSource         rate
}

// rate is a number of sessions in a period: "s" or "m".
type rate struct {
	count int
	per   string
}

// A rule is one of an access list.
type rule struct {
	allow bool
	from  []netip.Prefix
	when  string
}

// closed denies everybody.
func closed() []rule { return []rule{{}} }

// note leaves a comment on what has no equal; the reason may be empty.
func (e *entry) note(what, where, why string) {
	e.notes = append(e.notes, notTranslated(what, where, why))
}

// omit leaves a comment instead of the entry.
func (e *entry) omit(what, why string) *entry {
	e.listeners, e.service = nil, nil
	e.notes = []string{notTranslated(what, e.where, why)}
	return e
}

func notTranslated(what, where, why string) string {
	text := fmt.Sprintf("not translated: %s, %s", excerpt(what), excerpt(where))
	if why != "" {
		text += ": " + excerpt(why)
	}
	return text
}

func switchedOff(what, where string) string {
	return fmt.Sprintf("disabled: %s, %s", excerpt(what), excerpt(where))
}

// addListener gives the entry a listener, having checked its host.
func (e *entry) addListener(l listener) error {
	address, err := netip.ParseAddr(l.host)
	switch {
	case l.host == "":
	case err != nil && !isHostName(l.host), address.Zone() != "":
		return fmt.Errorf("%s is neither an IP address nor a host name", l.host)
	case err != nil && l.family == onlyIPv6, address.Is4() && l.family == onlyIPv6, address.Is6() && l.family == onlyIPv4:
		return errors.New("its address is of another family than its protocol")
	case len(e.listeners) == maxList:
		return fmt.Errorf("it has more than %d addresses", maxList)
	case err != nil:
		e.note("further addresses of "+l.host, e.where, "a listener has one, the first")
		l.host = strings.ToLower(l.host)
	default:
		l.host = address.String()
	}
	if slices.ContainsFunc(e.listeners, func(other *listener) bool { return other.listen() == l.listen() }) {
		return nil
	}
	e.listeners = append(e.listeners, &l)
	return nil
}

// resolve leaves an entry out when it completes one that is there, or when its address is taken.
func (d *document) resolve(e *entry) {
	for _, l := range e.listeners {
		before, taken := d.conflicting(e, l)
		switch {
		case taken == nil:
			continue
		case completes(before, e):
			taken.family = anyFamily
			*e = entry{where: e.where, remarks: []string{fmt.Sprintf("%s: one with %s, for both families of addresses", e.where, before.where)}}
		default:
			e.omit(e.asked, fmt.Sprintf("%s is taken by %s", l.listen(), before.where))
		}
		return
	}
}

// conflicting finds a listener that cannot be open at the same time as l.
func (d *document) conflicting(e *entry, l *listener) (*entry, *listener) {
	for _, before := range d.entries {
		if before == e {
			continue
		}
		for _, other := range before.listeners {
			if other.port == l.port && (other.isWildcard() && l.isWildcard() || other.listen() == l.listen()) {
				return before, other
			}
		}
	}
	return nil, nil
}

// completes says whether e is before for the other family of addresses.
func completes(before, e *entry) bool {
	if len(before.listeners) != 1 || len(e.listeners) != 1 || before.asked != e.asked {
		return false
	}
	one, other := *before.listeners[0], *e.listeners[0]
	if one.host != "" || other.host != "" || one.family == other.family || one.family == anyFamily || other.family == anyFamily {
		return false
	}
	one.family, other.family = anyFamily, anyFamily
	return reflect.DeepEqual(one, other) && reflect.DeepEqual(before.service, e.service)
}

func (l *listener) isWildcard() bool {
	address, err := netip.ParseAddr(l.host)
	return l.host == "" || err == nil && address.IsUnspecified()
}

// listen returns "HOST:PORT". A listener on "::" has IPv4 clients too: access keeps them out.
func (l *listener) listen() string {
	host := l.host
	switch {
	case host == "" && l.family == onlyIPv4:
		host = "0.0.0.0"
	case host == "" && l.family == onlyIPv6:
		host = "::"
	}
	return net.JoinHostPort(host, strconv.Itoa(l.port))
}

// access returns the rules of a listener with what its family demands.
func (l *listener) access() []rule {
	if l.family != onlyIPv6 || !l.isWildcard() {
		return l.rules
	}
	rules := append([]rule{{from: []netip.Prefix{allIPv4}}}, l.rules...)
	if len(l.rules) == 0 {
		rules = append(rules, rule{allow: true})
	}
	return rules
}

var allIPv4 = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
