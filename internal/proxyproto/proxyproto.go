// Package proxyproto carries a client's addresses across a proxy: both ends of the PROXY protocol, versions 1 and 2, as
// haproxy's document proxy-protocol.txt describes it. Encoding and decoding are github.com/pires/go-proxyproto's; this
// package adds what a relay needs around it: the header is read from the connection exactly, so that every byte behind it
// stays where it was and the bare socket can be used on.
//
// Rules:
//   - Accept is for connections from proxies that the configuration trusts. A header is then required: it is never guessed
//     whether there is one (section 5 of the document).
//   - What the document lets a receiver not know is read as "no addresses given": LOCAL, UNKNOWN, UNSPEC, Unix sockets and
//     datagrams. The connection's own addresses stand then.
//   - TLVs of version 2 are skipped unread, a CRC32c among them, as section 2.2 permits.
//
// It decides nothing about whom to trust, and writes nothing to a connection.
package proxyproto

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/pires/go-proxyproto"
)

// A Version is a version of the PROXY protocol.
type Version uint8

// The versions; the zero value sends no header.
const (
	None Version = 0
	V1   Version = 1 // a line of text
	V2   Version = 2 // binary
)

// Addresses are the two ends of a client's connection, as its first proxy saw them. An IPv4-mapped address is IPv4 here.
type Addresses struct {
	Source netip.AddrPort // the client
	Local  netip.AddrPort // the address that the client connected to
}

// Header returns the header that announces a client's connection to a service, at most 107 bytes. Where one of the
// addresses is not known (the zero AddrPort), the header says so: UNKNOWN in version 1, LOCAL in version 2. Of an IPv4 and
// an IPv6 address together, the IPv4 one is written IPv4-mapped. Zones cannot be expressed and are left out.
func Header(version Version, addresses Addresses) ([]byte, error) {
	if version != V1 && version != V2 {
		return nil, fmt.Errorf("PROXY protocol version %d: there are 1 and 2", version)
	}
	var source, local net.Addr
	if addresses.Source.IsValid() && addresses.Local.IsValid() {
		source = net.TCPAddrFromAddrPort(addresses.Source)
		local = net.TCPAddrFromAddrPort(addresses.Local)
	}
	return proxyproto.HeaderProxyFromAddrs(byte(version), source, local).Format()
}

// own returns the addresses of conn itself; those that are not TCP's stay zero.
func own(conn net.Conn) Addresses {
	return Addresses{Source: addrPort(conn.RemoteAddr()), Local: addrPort(conn.LocalAddr())}
}

func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
