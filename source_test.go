package jackfield

import (
	"net/netip"
	"testing"
)

func TestSourceOf(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.7", "::ffff:192.0.2.7", true},
		{"192.0.2.7", "192.0.2.8", false},
		{"2001:db8::1", "2001:db8::ffff:1", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"fe80::1%eth0", "fe80::2%eth1", true},
	} {
		if same := SourceOf(netip.MustParseAddr(c.a)) == SourceOf(netip.MustParseAddr(c.b)); same != c.same {
			t.Errorf("%s and %s: %v", c.a, c.b, same)
		}
	}
	if SourceOf(netip.Addr{}) == SourceOf(netip.IPv4Unspecified()) {
		t.Error("no address is an address")
	}
}
