// Package tcpmux speaks TCPMUX, the TCP port service multiplexer of RFC 1078, in both roles.
//
// The client sends the name of a service and CRLF. The server answers with one line, "+" or "-" and an optional text;
// after "+" the connection belongs to the service. The reserved name "help" asks for the names of the services.
//
// A server reads the name, decides, and answers:
//
//	name, rest, err := tcpmux.ReadName(conn, tcpmux.DefaultNameTimeout)
//	...
//	err = tcpmux.WriteAccept(rest, "Go")
//
// A client opens a service, or lists them:
//
//	rest, text, err := tcpmux.Open(ctx, conn, "time")
//	names, err := tcpmux.List(ctx, conn)
//
// Rules where the RFC is silent:
//   - A line ends with CRLF or with LF alone; exactly one CR before the LF belongs to the line end. All other bytes,
//     NUL and CR among them, are part of the line. A line that ends with the connection is no line.
//   - Names are compared without the case of ASCII letters, whole, without trimming; see [Fold].
//   - Bytes after the line end belong to the service and are never lost. On a bare *net.TCPConn or *net.UnixConn on Unix
//     they stay in the kernel, and the connection that comes back is the one that went in. On any other connection, what
//     was read too far comes out of the returned connection first. That one has CloseWrite if the inner connection has
//     it, and NetConn, which returns the inner connection.
//   - Every length has a maximum, and nothing is read beyond it.
//
// The package does not dial, listen, log, or close a connection. A server that has written its last line should call
// CloseWrite and read a little before it closes, or a reset may destroy the line on its way.
package tcpmux

import (
	"errors"
	"fmt"
	"strings"
)

const (
	// MaxName is the length in bytes of the longest service name, without its line end. (RFC 1078 has no limit; the BSD
	// servers read as many.)
	MaxName = 256

	// MaxText is the length in bytes of the longest text that the server role sends after "+" or "-". With its sign and
	// CRLF the line has 256 bytes, the most that some clients read.
	MaxText = 253

	// MaxReply is the length in bytes of the longest reply line that the client role accepts, without its line end.
	MaxReply = 1024

	// MaxList is the size in bytes of the longest list of services that the client role accepts.
	MaxList = 1 << 20

	// MaxListed is the number of names in the longest list of services that the client role accepts.
	MaxListed = 1 << 16
)

// Help is the reserved name that asks for the list of services.
const Help = "help"

var (
	// ErrTooLong says that the peer sent more than the maximum: a name, a reply or a list.
	ErrTooLong = errors.New("longer than allowed")

	// ErrName says that a name cannot be sent: it is empty, reserved, longer than MaxName, or holds CR, LF or NUL.
	ErrName = errors.New("not a service name")

	// ErrNoReply says that the connection ended before the server's reply was whole: the server refused without a reply.
	ErrNoReply = errors.New("the connection ended without a whole reply")

	// ErrProtocol says that the answer is not TCPMUX.
	ErrProtocol = errors.New("not a TCPMUX reply")
)

// Fold returns name with the ASCII letters in lower case: names that fold to the same are the same. Other bytes stay as
// they are. (The Unicode rules of package strings would let two different names be one.)
func Fold(name string) string {
	if strings.IndexFunc(name, func(r rune) bool { return 'A' <= r && r <= 'Z' }) < 0 {
		return name
	}
	folded := []byte(name)
	for i, c := range folded {
		if 'A' <= c && c <= 'Z' {
			folded[i] = c + ('a' - 'A')
		}
	}
	return string(folded)
}

// checkName says what keeps name from standing alone on a line.
func checkName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%w: it is empty", ErrName)
	case len(name) > MaxName:
		return fmt.Errorf("%w: it has %d bytes, %d are allowed", ErrName, len(name), MaxName)
	case strings.ContainsAny(name, "\r\n\x00"):
		return fmt.Errorf("%w: %q holds CR, LF or NUL", ErrName, name)
	}
	return nil
}
