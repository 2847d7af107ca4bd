package mihini

import (
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// maxUnsent is how many bytes the kernel holds of a link that it has not sent yet, about: what a new frame waits behind.
const maxUnsent = 256 << 10

// setUserTimeout also keeps what waits in the kernel short.
func setUserTimeout(conn *net.TCPConn, d time.Duration) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var setErr error
	err = raw.Control(func(fd uintptr) {
		setErr = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
		if setErr == nil {
			setErr = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, maxUnsent)
		}
	})
	if err != nil {
		return err
	}
	return os.NewSyscallError("setsockopt", setErr)
}
