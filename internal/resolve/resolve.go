// Package resolve finds the host name of a client's address.
//
//	name := resolve.Name(ctx, resolve.System, client) // "pc.example", or "" if there is none
//
// Anybody can claim any name for his own address, so a name counts only if it leads back to the address. Nothing is cached
// beyond what the system's resolver does.
package resolve

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"time"
)

// Timeout is how long looking for a name may take.
const Timeout = 2 * time.Second

// maxNames is how many names of one address are tried.
const maxNames = 4

// A Resolver looks names up, as *net.Resolver does.
type Resolver interface {
	LookupAddr(ctx context.Context, address string) (names []string, err error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// System is the system's resolver.
var System Resolver = net.DefaultResolver

// Name returns a name of the address that leads back to it, or "" if there is none within Timeout or before ctx ends.
func Name(ctx context.Context, r Resolver, a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	names, err := r.LookupAddr(ctx, a.WithZone("").String())
	if err != nil {
		return ""
	}
	for _, name := range names[:min(len(names), maxNames)] {
		name = strings.TrimSuffix(name, ".")
		if isHostName(name) && leadsTo(ctx, r, name, a) {
			return name
		}
	}
	return ""
}

func leadsTo(ctx context.Context, r Resolver, name string, a netip.Addr) bool {
	addresses, err := r.LookupNetIP(ctx, "ip", name)
	if err != nil {
		return false
	}
	for _, found := range addresses {
		if found.Unmap() == a.Unmap().WithZone("") {
			return true
		}
	}
	return false
}

// isHostName keeps from programs, which may be scripts, what is no name (RFC 1123, section 2.1, and the underscore).
func isHostName(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for _, c := range []byte(s) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && !('0' <= c && c <= '9') && c != '-' && c != '.' && c != '_' {
			return false
		}
	}
	return true
}
