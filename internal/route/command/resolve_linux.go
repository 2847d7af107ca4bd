package command

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// How long a client waits for names, and how many names of one address are tried.
const (
	resolveTimeout = 2 * time.Second
	maxNames       = 4
)

// lookUpNames returns the names of two addresses, each empty if there is none within the time.
func lookUpNames(ctx context.Context, r Resolver, local, remote netip.Addr) (localName, remoteName string) {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	var looking sync.WaitGroup
	looking.Go(func() { localName = lookUpName(ctx, r, local) })
	remoteName = lookUpName(ctx, r, remote)
	looking.Wait()
	return localName, remoteName
}

// lookUpName returns a name of the address that leads back to it: anybody can claim any name for his own address.
func lookUpName(ctx context.Context, r Resolver, a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
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
