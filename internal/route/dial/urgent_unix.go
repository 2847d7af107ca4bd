//go:build unix

package dial

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// keepUrgent has urgent bytes stay in the stream: they are data, and a relay that reads only the rest would lose them.
func keepUrgent(network, _ string, c syscall.RawConn) error {
	if network == "unix" {
		return nil
	}
	var failure error
	err := c.Control(func(fd uintptr) { failure = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_OOBINLINE, 1) })
	if err != nil {
		return err
	}
	return failure
}
