package interop

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"strings"
)

// A socket is a line of /proc/net/tcp.
type socket struct {
	local, remote string
	state         string
	unread        bool // bytes wait for its owner
	owned         bool // a process has it: it was accepted, and not closed
}

const (
	stateEstablished = "01"
	stateCloseWait   = "08"
	stateListen      = "0A"
)

func sockets() []socket {
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return nil
	}
	var list []socket
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) < 10 || fields[0] == "sl" {
			continue
		}
		_, unread, _ := strings.Cut(fields[4], ":")
		list = append(list, socket{fields[1], fields[2], fields[3], strings.Trim(unread, "0") != "", fields[9] != "0"})
	}
	return list
}

func listening(port int) bool {
	for _, s := range sockets() {
		if _, p, _ := strings.Cut(s.local, ":"); s.state == stateListen && p == fmt.Sprintf("%04X", port) {
			return true
		}
	}
	return false
}

// hasRead says whether the server at the far end of a connection has accepted it and has read all that was sent, or will
// never.
func hasRead(server, client netip.AddrPort) bool {
	for _, s := range sockets() {
		if s.local != inHex(server) || s.remote != inHex(client) {
			continue
		}
		open := s.state == stateEstablished || s.state == stateCloseWait
		return !open || s.owned && !s.unread
	}
	return true
}

// inHex writes an address as /proc/net/tcp does: the IPv4 address in the machine's byte order.
func inHex(a netip.AddrPort) string {
	ip := a.Addr().As4()
	return fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32(ip[:]), a.Port())
}
