package listen

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// Keepalive of accepted connections: as Go has it, 15 s of silence, then a probe every 15 s, nine times.
const (
	keepAliveIdle     = 15
	keepAliveInterval = 15
	keepAliveCount    = 9
)

// listenConfig sets options on the listening socket, from which Linux has accepted ones inherit them: five system calls less
// for each connection than setting them there.
func listenConfig() net.ListenConfig {
	return net.ListenConfig{
		KeepAlive: -1,
		Control: func(_, _ string, c syscall.RawConn) error {
			var failure error
			err := c.Control(func(fd uintptr) { failure = setOptions(int(fd)) })
			if err != nil {
				return err
			}
			return failure
		},
	}
}

// setOptions sets keepalive, and has urgent bytes stay in the stream: they are data, and a relay that reads only the rest
// would lose them. (RFC 6093, section 5, asks applications for just that.)
func setOptions(fd int) error {
	for _, option := range []struct{ level, name, value int }{
		{unix.SOL_SOCKET, unix.SO_OOBINLINE, 1},
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, keepAliveIdle},
		{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, keepAliveInterval},
		{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, keepAliveCount},
	} {
		if err := unix.SetsockoptInt(fd, option.level, option.name, option.value); err != nil {
			return err
		}
	}
	return nil
}
