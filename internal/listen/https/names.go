package https

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// names are the hosts that a listener is.
type names struct {
	hosts     map[string]bool // in lower case
	addresses map[netip.Addr]bool
}

func newNames(list []string) names {
	n := names{hosts: make(map[string]bool), addresses: make(map[netip.Addr]bool)}
	for _, name := range list {
		if address, err := netip.ParseAddr(name); err == nil {
			n.addresses[bare(address)] = true
		} else {
			n.hosts[strings.ToLower(name)] = true
		}
	}
	return n
}

func bare(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// has says whether an authority, a host with or without a port, is ours for a client that has connected to local. Which port
// it names does not matter: there may be a forwarding one in between. A page that another site had our address put into its
// own name for (DNS rebinding) still names that site here.
func (n names) has(authority string, local netip.Addr) bool {
	host, ok := hostOf(authority)
	if !ok {
		return false
	}
	if address, err := netip.ParseAddr(host); err == nil {
		return bare(address) == bare(local) || n.addresses[bare(address)]
	}
	host = strings.ToLower(host)
	return n.hosts[host] || host == "localhost" && bare(local).IsLoopback()
}

// hostOf returns the host of an authority (RFC 3986, section 3.2) that has no user in it. An IPv6 address comes without its
// brackets.
func hostOf(authority string) (host string, ok bool) {
	if literal, bracketed := strings.CutPrefix(authority, "["); bracketed {
		host, port, closed := strings.Cut(literal, "]")
		address, err := netip.ParseAddr(host)
		if !closed || err != nil || !address.Is6() || port != "" && !isPort(port) {
			return "", false
		}
		return host, true
	}
	host, port, _ := strings.Cut(authority, ":")
	if host == "" || len(port) != len(authority)-len(host) && !isPort(":"+port) {
		return "", false
	}
	return host, true
}

// isPort says whether s is a colon and the number of a port.
func isPort(s string) bool {
	digits, ok := strings.CutPrefix(s, ":")
	_, err := strconv.ParseUint(digits, 10, 16)
	return ok && err == nil
}

// misdirected says why a request must not reach our handler: status and sentence; 0 if it may.
func (n names) misdirected(r *http.Request, local netip.Addr) (status int, why string) {
	hosts := r.Header["Host"] // only HTTP/2 leaves it there
	switch {
	case r.URL.Scheme != "" || r.URL.Host != "" || r.URL.Opaque != "":
		return http.StatusMisdirectedRequest, "this server is no proxy: send the path alone as the request's target"
	case len(hosts) > 1 || len(hosts) == 1 && hosts[0] != r.Host:
		return http.StatusBadRequest, "the request names more than one host"
	case r.Host == "":
		return http.StatusBadRequest, "the request names no host"
	case !n.has(r.Host, local):
		return http.StatusMisdirectedRequest, "this server does not know itself by the name that the request has for it"
	}
	return 0, ""
}
