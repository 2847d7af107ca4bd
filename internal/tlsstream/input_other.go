//go:build !unix

package tlsstream

import "net"

// An input reads what it is asked for: waiting without a buffer is for Unix.
type input struct {
	eager bool // Read does not wait
	conn  *net.TCPConn
}

func (i *input) init(conn *net.TCPConn) { i.conn = conn }

func (i *input) read(p []byte) (int, error) {
	if i.eager {
		return 0, errNothing
	}
	return i.conn.Read(p)
}
