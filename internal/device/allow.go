package device

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"jackfield/internal/access"
)

// An AllowList is what a device lets itself be asked for. An empty one allows nothing.
type AllowList []allowed

// allowed is an entry: a name, which must be asked for literally, or a network; and a range of ports.
type allowed struct {
	name        string       // in lower case; empty: network counts
	network     netip.Prefix // of one address, or more
	first, last uint16
}

// ParseAllowList reads entries such as "127.0.0.1:23", ":23" (127.0.0.1), "plc.local:502", "[::1]:8000-8010" and
// "192.168.1.0/24:80". A name allows itself only, whatever it resolves to; a network allows addresses that are asked for as
// numbers.
func ParseAllowList(entries []string) (AllowList, error) {
	var list AllowList
	var failures []error
	for _, entry := range entries {
		a, err := parseAllowed(entry)
		if err != nil {
			failures = append(failures, fmt.Errorf("%q: %w", entry, err))
			continue
		}
		list = append(list, a)
	}
	return list, errors.Join(failures...)
}

func parseAllowed(entry string) (a allowed, err error) {
	host, ports, err := net.SplitHostPort(entry)
	if err != nil {
		return a, errors.New(`an entry is "HOST:PORT"; an IPv6 address stands in brackets, as in "[::1]:80"`)
	}
	if a.first, a.last, err = parsePorts(ports); err != nil {
		return a, err
	}
	if host == "" {
		host = "127.0.0.1"
	}
	if address, err := netip.ParseAddr(host); err == nil {
		if address.Zone() != "" {
			return a, errors.New("an address with a zone cannot be asked for")
		}
		a.network = netip.PrefixFrom(address.Unmap(), address.Unmap().BitLen())
		return a, nil
	}
	if strings.Contains(host, "/") {
		network, err := netip.ParsePrefix(host)
		if err != nil {
			return a, errors.New(`a network is such as "192.168.1.0/24"`)
		}
		a.network = access.Canonical(network)
		return a, nil
	}
	if strings.ContainsFunc(host, func(r rune) bool { return !isNameRune(r) }) {
		return a, errors.New("the host is neither a name, an address nor a network")
	}
	a.name = strings.ToLower(host)
	return a, nil
}

func isNameRune(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '.' || r == '_'
}

func parsePorts(s string) (first, last uint16, err error) {
	from, to, ranged := strings.Cut(s, "-")
	if !ranged {
		to = from
	}
	a, err1 := strconv.ParseUint(from, 10, 16)
	b, err2 := strconv.ParseUint(to, 10, 16)
	if err1 != nil || err2 != nil || a == 0 || b < a {
		return 0, 0, errors.New(`a port is a number from 1 to 65535, or a range such as "8000-8010"`)
	}
	return uint16(a), uint16(b), nil
}

// ErrNotOffered says that an address is not in the list.
var ErrNotOffered = errors.New("the allow-list does not have it")

// Check says whether an address ("host:port") is in the list.
func (l AllowList) Check(address string) error {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return err
	}
	literal, notLiteral := netip.ParseAddr(host)
	for _, a := range l {
		if uint16(port) < a.first || uint16(port) > a.last {
			continue
		}
		if notLiteral != nil && a.name != "" && a.name == strings.ToLower(host) {
			return nil
		}
		if notLiteral == nil && a.name == "" && literal.Zone() == "" && a.network.Contains(literal.Unmap()) {
			return nil
		}
	}
	return ErrNotOffered
}
