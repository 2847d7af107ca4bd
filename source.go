package jackfield

import "net/netip"

// SourceOf is who is counted as one where limits are per source: an IPv4 address or an IPv6 /64, for whoever has one IPv6 address
// usually has all of that network.
func SourceOf(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	source, _ := a.Prefix(bits) // fails for the zero address only, which then is one source of its own
	return source
}
