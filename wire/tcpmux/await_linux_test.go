package tcpmux

import (
	"net"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// awaitRead waits until a reader has taken all that waits in conn's receive queue, or closed conn.
func awaitRead(conn net.Conn) {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := socket.SyscallConn()
	for waiting := 1; err == nil && waiting > 0; runtime.Gosched() {
		err = raw.Control(func(fd uintptr) { waiting, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	}
}
