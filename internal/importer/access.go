package importer

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// addresses is a list of only_from or no_access. nil is not the same as one that is empty, which holds nobody.
type addresses struct {
	elements []address

	// unsure are elements that were taken away and cannot be told: the list may hold more than xinetd's does.
	unsure []address
}

// An address is an element of such a list: networks, or what cannot be translated.
type address struct {
	text     string
	where    string
	networks []netip.Prefix
}

func (a *addresses) clone() *addresses {
	if a == nil {
		return nil
	}
	return &addresses{slices.Clone(a.elements), slices.Clone(a.unsure)}
}

// assign does what "=", "+=" and "-=" do.
func (a *addresses) assign(operator string, values []string, where string) error {
	if operator == "=" {
		*a = addresses{}
	}
	for _, text := range values {
		element, err := parseAddress(text)
		if err != nil {
			return err
		}
		element.where = where
		if operator == "-=" {
			a.remove(element)
		} else {
			a.elements = append(a.elements, element)
		}
		if a.size() > maxList {
			return errTooLong
		}
	}
	return nil
}

// size counts networks, of which one element in braces can have hundreds.
func (a *addresses) size() int {
	n := len(a.unsure)
	for _, x := range a.elements {
		n += max(len(x.networks), 1)
	}
	return n
}

var errTooLong = fmt.Errorf("a list has more than %d elements", maxList)

func (a *addresses) remove(gone address) {
	before := len(a.elements)
	a.elements = slices.DeleteFunc(a.elements, func(x address) bool { return x.text == gone.text })
	if gone.networks == nil && before == len(a.elements) {
		a.unsure = append(a.unsure, gone)
	}
	isGone := func(n netip.Prefix) bool { return slices.Contains(gone.networks, n) }
	for i, x := range a.elements {
		if slices.ContainsFunc(x.networks, isGone) {
			a.elements[i].networks = slices.DeleteFunc(slices.Clone(x.networks), isGone) // lists share them
		}
	}
}

// networks returns what can be translated, and the elements that cannot.
func (a *addresses) networks() (known []netip.Prefix, unknown []address) {
	for _, x := range a.elements {
		if x.networks == nil {
			unknown = append(unknown, x)
		}
		for _, n := range x.networks {
			known = append(known, n.Masked())
		}
	}
	return known, unknown
}

// parseAddress reads an element as xinetd does: an IPv4 address whose last zeros stand for anything, an IPv6 address, either
// with a length, or IPv4 with a list in braces at its end. What else there is (names of hosts, domains and networks, and
// shortened addresses) has no networks. An error is what xinetd refuses.
func parseAddress(text string) (address, error) {
	element := address{text: text}
	if strings.Contains(text, "{") {
		networks, err := parseFactorized(text)
		element.networks = networks
		return element, err
	}
	if strings.Contains(text, ",") {
		return element, fmt.Errorf("the address %s has a comma in it", excerpt(text))
	}
	if network, err := netip.ParsePrefix(text); err == nil {
		element.networks = []netip.Prefix{network} // not masked: "-=" compares addresses, too
	} else if plain, err := netip.ParseAddr(text); err == nil && plain.Zone() == "" {
		element.networks = []netip.Prefix{netip.PrefixFrom(plain, wildcardBits(plain))}
	}
	return element, nil
}

// wildcardBits returns how many bits of an address count.
func wildcardBits(a netip.Addr) int {
	if a == netip.IPv6Unspecified() {
		return 0
	}
	if !a.Is4() {
		return a.BitLen()
	}
	bytes := a.As4()
	n := len(bytes)
	for n > 0 && bytes[n-1] == 0 {
		n--
	}
	return 8 * n
}

// parseFactorized reads "192.168.{1,2}": each number in the braces is one byte more of the address.
func parseFactorized(text string) ([]netip.Prefix, error) {
	bad := fmt.Errorf("bad address %s", excerpt(text))
	head, braced, _ := strings.Cut(text, "{")
	inner, closed := strings.CutSuffix(braced, "}")
	var bytes [4]byte
	parts := strings.Split(strings.TrimSuffix(head, "."), ".")
	if head == "" {
		parts = nil
	}
	if !closed || strings.Count(inner, ",") > 255 || len(parts) >= len(bytes) || head != "" && !strings.HasSuffix(head, ".") {
		return nil, bad
	}
	for i, part := range parts {
		if err := setByte(&bytes[i], part); err != nil {
			return nil, bad
		}
	}
	var networks []netip.Prefix
	for part := range strings.SplitSeq(inner, ",") {
		if err := setByte(&bytes[len(parts)], part); err != nil {
			return nil, bad
		}
		networks = append(networks, netip.PrefixFrom(netip.AddrFrom4(bytes), 8*(len(parts)+1)))
	}
	return networks, nil
}

func setByte(b *byte, text string) error {
	n, err := parseCount(text, 256)
	if err != nil || n > 255 {
		return errors.New("not a byte")
	}
	*b = byte(n)
	return nil
}

// accessRules translates the lists and the times. xinetd refuses a client that no_access holds, also when only_from has a
// closer match; then, where there is an only_from, one that this does not hold.
func (e *entry) accessRules(onlyFrom, noAccess *addresses, when string) []rule {
	var rules []rule
	if noAccess != nil {
		denied, unknown := noAccess.networks()
		if len(unknown) > 0 {
			e.noteAddress("no_access =", unknown, "nobody is let in, since it cannot be told who may not be")
			return closed()
		}
		if slices.ContainsFunc(denied, holdsMapped) {
			denied = append(denied, allIPv4)
		}
		if len(denied) > 0 {
			rules = append(rules, rule{from: denied})
		}
	}
	allowed := rule{allow: true, when: when}
	if onlyFrom != nil {
		known, unknown := onlyFrom.networks()
		if len(unknown) > 0 {
			e.noteAddress("only_from =", unknown, "only addresses and networks can be, so these clients are not let in")
		}
		switch {
		case len(onlyFrom.unsure) > 0:
			e.noteAddress("only_from -=", onlyFrom.unsure, "nobody is let in, since it cannot be told what it takes away")
			return closed()
		case len(known) == 0:
			return closed()
		}
		allowed.from = known
	}
	if len(rules) == 0 && len(allowed.from) == 0 && when == "" {
		return nil
	}
	return append(rules, allowed)
}

func (e *entry) noteAddress(what string, unknown []address, why string) {
	for _, x := range unknown {
		e.note(what+" "+x.text, x.where, why)
	}
}

// holdsMapped says whether a network of IPv6 holds the clients that come over IPv4 to a socket of both families.
func holdsMapped(n netip.Prefix) bool {
	return n.Addr().Is6() && n.Bits() <= 96 && n.Contains(netip.AddrFrom16([16]byte{10: 0xff, 11: 0xff}))
}
