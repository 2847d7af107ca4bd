package proxyproto

import (
	"bytes"
	"encoding/hex"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// vectors are headers as proxy-protocol.txt defines them, section 2.1 (whose example is the first) and 2.2.
var vectors = []struct {
	name    string
	version Version
	wire    string
	want    Addresses
}{
	{"v1 IPv4", V1, "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n", addresses("192.168.0.1:56324", "192.168.0.11:443")},
	{"v1 IPv6", V1, "PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n", addresses("[2001:db8::1]:56324", "[2001:db8::2]:443")},
	{"v1 longest IPv4", V1, "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", addresses("255.255.255.255:65535", "255.255.255.255:65535")},
	{"v1 unknown", V1, "PROXY UNKNOWN\r\n", Addresses{}},
	{"v2 IPv4", V2, unhex("0d0a0d0a000d0a515549540a 21 11 000c c0a80001 c0a8000b dc04 01bb"), addresses("192.168.0.1:56324", "192.168.0.11:443")},
	{"v2 IPv6", V2, unhex("0d0a0d0a000d0a515549540a 21 21 0024 20010db8000000000000000000000001" +
		"20010db8000000000000000000000002 dc04 01bb"), addresses("[2001:db8::1]:56324", "[2001:db8::2]:443")},
	{"v2 local", V2, unhex("0d0a0d0a000d0a515549540a 20 00 0000"), Addresses{}},
}

func TestHeaderGolden(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			got, err := Header(v.version, v.want)
			if err != nil || string(got) != v.wire {
				t.Errorf("Header = %q, %v; want %q", got, err, v.wire)
			}
		})
	}
}

func TestHeaderMixedFamilies(t *testing.T) {
	got, err := Header(V1, addresses("192.0.2.1:1", "[2001:db8::2]:2"))
	if want := "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 1 2\r\n"; err != nil || string(got) != want {
		t.Errorf("Header = %q, %v; want %q", got, err, want)
	}
}

func TestHeaderWithOneAddressKnown(t *testing.T) {
	got, err := Header(V1, Addresses{Source: netip.MustParseAddrPort("192.0.2.1:1")})
	if want := "PROXY UNKNOWN\r\n"; err != nil || string(got) != want {
		t.Errorf("Header = %q, %v; want %q", got, err, want)
	}
}

func TestHeaderUnknownVersion(t *testing.T) {
	for _, v := range []Version{None, 3} {
		if got, err := Header(v, Addresses{}); err == nil {
			t.Errorf("Header(%d) = %q, want an error", v, got)
		}
	}
}

// What Header writes, Accept reads, however it is cut into pieces, and what follows stays unread.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Addresses{Source: drawAddrPort(t, "source"), Local: drawAddrPort(t, "local")}
		version := rapid.SampledFrom([]Version{V1, V2}).Draw(t, "version")
		header, err := Header(version, want)
		if err != nil {
			t.Fatal(err)
		}
		behind := rapid.String().Draw(t, "behind")
		var r io.Reader = strings.NewReader(string(header) + behind)
		if rapid.Bool().Draw(t, "byte by byte") {
			r = iotest.OneByteReader(r)
		}
		got, err := Accept(&testConn{Reader: r}, 0)
		if err != nil || got != want {
			t.Fatalf("Accept = %v, %v; want %v", got, err, want)
		}
		if rest, _ := io.ReadAll(r); !bytes.Equal(rest, []byte(behind)) {
			t.Fatalf("behind the header: %q, want %q", rest, behind)
		}
	})
}

func drawAddrPort(t *rapid.T, label string) netip.AddrPort {
	size := rapid.SampledFrom([]int{4, 16}).Draw(t, label+" size")
	ip, _ := netip.AddrFromSlice(rapid.SliceOfN(rapid.Byte(), size, size).Draw(t, label))
	return netip.AddrPortFrom(ip.Unmap(), rapid.Uint16().Draw(t, label+" port"))
}

func addresses(source, local string) Addresses {
	return Addresses{Source: netip.MustParseAddrPort(source), Local: netip.MustParseAddrPort(local)}
}

func unhex(s string) string {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return string(b)
}
