package proxyproto

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

// testConn is a connection from 127.0.0.1:1 to 127.0.0.1:2 that delivers what its Reader has.
type testConn struct {
	net.Conn
	io.Reader
}

var ownAddresses = addresses("127.0.0.1:1", "127.0.0.1:2")

func (c *testConn) Read(b []byte) (int, error)      { return c.Reader.Read(b) }
func (c *testConn) SetReadDeadline(time.Time) error { return nil }
func (c *testConn) RemoteAddr() net.Addr            { return net.TCPAddrFromAddrPort(ownAddresses.Source) }
func (c *testConn) LocalAddr() net.Addr             { return net.TCPAddrFromAddrPort(ownAddresses.Local) }

const v2 = "\r\n\r\n\x00\r\nQUIT\n"

func TestAcceptGolden(t *testing.T) {
	for _, v := range vectors {
		want := v.want
		if want == (Addresses{}) {
			want = ownAddresses
		}
		accepts(t, v.name, v.wire, want)
	}
}

func TestAcceptTolerates(t *testing.T) {
	ipv4 := "\xc0\xa8\x00\x01\xc0\xa8\x00\x0b\xdc\x04\x01\xbb"
	announced := addresses("192.168.0.1:56324", "192.168.0.11:443")
	for _, test := range []struct {
		name string
		wire string
		want Addresses
	}{
		{"v1 unknown with addresses", "PROXY UNKNOWN ffff:f::ffff ffff:f::ffff 65535 65535\r\n", ownAddresses},
		{"v1 longest", "PROXY UNKNOWN " + strings.Repeat("f", longestV1-16) + "\r\n", ownAddresses},
		{"v1 mapped", "PROXY TCP6 ::ffff:192.168.0.1 ::ffff:192.168.0.11 56324 443\r\n", announced},
		{"v1 shortest IPv6", "PROXY TCP6 :: :: 0 0\r\n", addresses("[::]:0", "[::]:0")},
		{"v2 TLV behind the addresses", v2 + "\x21\x11\x00\x11" + ipv4 + "\x04\x00\x02ab", announced},
		{"v2 CRC32c is not verified", v2 + "\x21\x11\x00\x13" + ipv4 + "\x03\x00\x04abcd", announced},
		{"v2 local with addresses", v2 + "\x20\x11\x00\x0c" + ipv4, ownAddresses},
		{"v2 local, too short for its family", v2 + "\x20\x21\x00\x03abc", ownAddresses},
		{"v2 unspecified", v2 + "\x21\x00\x00\x03abc", ownAddresses},
		{"v2 datagrams", v2 + "\x21\x12\x00\x0c" + ipv4, ownAddresses},
		{"v2 Unix", v2 + "\x21\x31\x00\xd8" + strings.Repeat("\x00", 216), ownAddresses},
		{"v2 longest", v2 + "\x21\x11\x0f\xf0" + ipv4 + strings.Repeat("x", MaxHeader-fixedV2-len(ipv4)), announced},
	} {
		accepts(t, test.name, test.wire, test.want)
	}
}

// accepts reads header as one piece and byte by byte, each time with data behind it.
func accepts(t *testing.T, name, header string, want Addresses) {
	t.Run(name, func(t *testing.T) {
		const behind = "help\r\n"
		whole := strings.NewReader(header + behind)
		split := strings.NewReader(header + behind)
		for _, r := range []io.Reader{whole, iotest.OneByteReader(split)} {
			got, err := Accept(&testConn{Reader: r}, 0)
			if err != nil || got != want {
				t.Errorf("Accept = %v, %v; want %v", got, err, want)
			}
			if rest, _ := io.ReadAll(r); string(rest) != behind {
				t.Errorf("behind the header: %q, want %q", rest, behind)
			}
		}
	})
}

func TestAcceptRefuses(t *testing.T) {
	for _, test := range []struct {
		name string
		wire string
		want error
	}{
		{"nothing", "", io.EOF},
		{"no header", "help\r\n", ErrNoHeader},
		{"one wrong byte", "h", ErrNoHeader},
		{"v1 in lower case", "proxy UNKNOWN\r\n", ErrNoHeader},
		{"v1 without a space", "PROXYUNKNOWN\r\n", ErrNoHeader},
		{"v1 cut", "PROXY TCP4 192.168", io.ErrUnexpectedEOF},
		{"v1 cut in the signature", "PRO", io.ErrUnexpectedEOF},
		{"v1 LF alone", "PROXY TCP4 1.1.1.1 2.2.2.2 3 4\n", ErrMalformed},
		{"v1 CR alone", "PROXY TCP4 1.1.1.1 2.2.2.2 3 4\r help\r\n", ErrMalformed},
		{"v1 too short", "PROXY TCP4\r\nhelp\r\n", ErrMalformed},
		{"v1 one byte too long", "PROXY UNKNOWN " + strings.Repeat("f", longestV1-15) + "\r\n", ErrMalformed},
		{"v1 without end", "PROXY UNKNOWN " + strings.Repeat("f", 1<<20), ErrMalformed},
		{"v1 other family", "PROXY UDP4 1.1.1.1 2.2.2.2 3 4\r\n", ErrMalformed},
		{"v1 address of the other family", "PROXY TCP4 ::1 ::1 3 4\r\n", ErrMalformed},
		{"v1 zone", "PROXY TCP6 fe80::1%eth0 fe80::2 3 4\r\n", ErrMalformed},
		{"v1 port too large", "PROXY TCP4 1.1.1.1 2.2.2.2 65536 4\r\n", ErrMalformed},
		{"v1 port with a leading zero", "PROXY TCP4 1.1.1.1 2.2.2.2 03 4\r\n", ErrMalformed},
		{"v1 two spaces", "PROXY TCP4  1.1.1.1 2.2.2.2 3 4\r\n", ErrMalformed},
		{"v1 something behind the ports", "PROXY TCP4 1.1.1.1 2.2.2.2 3 4 5\r\n", ErrMalformed},
		{"v2 signature alone", v2, io.ErrUnexpectedEOF},
		{"v2 cut in the addresses", v2 + "\x21\x11\x00\x0cabc", io.ErrUnexpectedEOF},
		{"v2 of another version", v2 + "\x11\x11\x00\x0cabcdefghijkl", ErrMalformed},
		{"v2 unassigned command", v2 + "\x22\x11\x00\x0cabcdefghijkl", ErrMalformed},
		{"v2 undefined transport", v2 + "\x21\x13\x00\x0cabcdefghijkl", ErrMalformed},
		{"v2 too short for its family", v2 + "\x21\x21\x00\x0cabcdefghijkl", ErrMalformed},
		{"v2 too long", v2 + "\x21\x11\x0f\xf1" + strings.Repeat("x", MaxHeader), ErrMalformed},
		{"v2 longest that fits the field", v2 + "\x21\x11\xff\xff" + strings.Repeat("x", 1<<16), ErrMalformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, r := range []io.Reader{
				strings.NewReader(test.wire),
				iotest.OneByteReader(strings.NewReader(test.wire)),
				iotest.DataErrReader(strings.NewReader(test.wire)),
			} {
				got, err := Accept(&testConn{Reader: r}, 0)
				if !errors.Is(err, test.want) {
					t.Errorf("Accept = %v, %v; want %v", got, err, test.want)
				}
			}
		})
	}
}

func TestAcceptGivesUp(t *testing.T) {
	for _, start := range []string{"", "PROXY TCP4 1.1.1.1", v2 + "\x21"} {
		synctest.Test(t, func(t *testing.T) {
			server, client := net.Pipe()
			defer server.Close()
			defer client.Close()
			go io.WriteString(client, start)
			began := time.Now()
			_, err := Accept(server, 3*time.Second)
			if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != 3*time.Second {
				t.Errorf("after %q: %v in %v, want the deadline in 3s", start, err, time.Since(began))
			}
		})
	}
}

// A refusal does not wait for bytes that cannot mend the header.
func TestAcceptRefusesAtOnce(t *testing.T) {
	for _, start := range []string{"GET", "PROXY TCP4 1.1.1.1 2.2.2.2 3 4\n", v2 + "\x21\x11\xff\xff"} {
		synctest.Test(t, func(t *testing.T) {
			server, client := net.Pipe()
			defer server.Close()
			defer client.Close()
			go io.WriteString(client, start)
			began := time.Now()
			if _, err := Accept(server, time.Hour); err == nil || time.Since(began) != 0 {
				t.Errorf("after %q: %v in %v, want an error at once", start, err, time.Since(began))
			}
		})
	}
}

func TestAcceptOnSocket(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if _, err := io.WriteString(client, "PROXY UNKNOWN\r\nhelp\r\n"); err != nil {
		t.Fatal(err)
	}
	client.(*net.TCPConn).CloseWrite()

	got, err := Accept(server, time.Minute)
	want := Addresses{Source: tcpAddrPort(client.LocalAddr()), Local: tcpAddrPort(listener.Addr())}
	if err != nil || got != want {
		t.Errorf("Accept = %v, %v; want %v", got, err, want)
	}
	if rest, err := io.ReadAll(server); string(rest) != "help\r\n" || err != nil {
		t.Errorf("behind the header: %q, %v", rest, err)
	}
}

func tcpAddrPort(a net.Addr) netip.AddrPort { return a.(*net.TCPAddr).AddrPort() }

// Whatever comes, Accept does not panic, and what it accepts it has read to the last byte of the header and no further.
func FuzzAccept(f *testing.F) {
	for _, v := range vectors {
		f.Add([]byte(v.wire))
		f.Add([]byte(v.wire + "help\r\n"))
		f.Add([]byte(v.wire[:len(v.wire)-1]))
	}
	f.Add([]byte(v2 + "\x21\x11\xff\xff"))
	f.Add([]byte("PROXY TCP4 1.1.1.1 2.2.2.2 3 4\n"))
	f.Fuzz(func(t *testing.T, wire []byte) {
		r := bytes.NewReader(wire)
		got, err := Accept(&testConn{Reader: r}, 0)
		consumed := len(wire) - r.Len()
		if consumed > MaxHeader {
			t.Fatalf("%d bytes were read", consumed)
		}
		if err != nil {
			return
		}
		if want := headerLength(wire); consumed != want {
			t.Errorf("%d bytes were read, the header has %d", consumed, want)
		}
		if got.Source.Addr().Is4In6() || got.Local.Addr().Is4In6() {
			t.Errorf("%v is IPv4-mapped", got)
		}
	})
}

// headerLength finds the length of a well-formed header by other means than Accept does.
func headerLength(wire []byte) int {
	if wire[0] == 'P' {
		return bytes.Index(wire, crlf) + len(crlf)
	}
	return fixedV2 + int(binary.BigEndian.Uint16(wire[14:]))
}
