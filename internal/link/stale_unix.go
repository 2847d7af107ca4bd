//go:build unix

package link

import (
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// isStale says whether a connection that nobody has said anything on is none any more: the agent has nothing to say on it, so
// whatever there is to read is its end.
func isStale(conn *dataConn) bool {
	raw, err := conn.Raw()
	if err != nil {
		return true
	}
	for {
		wrapper, ok := raw.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		raw = wrapper.NetConn()
	}
	socket, ok := raw.(syscall.Conn)
	if !ok {
		return false
	}
	control, err := socket.SyscallConn()
	if err != nil {
		return true
	}
	stale := true
	err = control.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		stale = !errors.Is(err, unix.EAGAIN)
		return true
	})
	return err != nil || stale
}

func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
