package admin

import (
	"context"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// listenPrivate makes a socket that has mode 0600 from the first moment: on Linux, bind(2) gives the file the mode of the
// socket, less the umask, and fchmod(2) sets that beforehand.
func listenPrivate(path string) (net.Listener, error) {
	config := net.ListenConfig{Control: func(_, _ string, socket syscall.RawConn) error {
		var chmod error
		if err := socket.Control(func(fd uintptr) { chmod = unix.Fchmod(int(fd), 0o600) }); err != nil {
			return err
		}
		return chmod
	}}
	return config.Listen(context.Background(), "unix", path)
}

// checkPeer asks the kernel who made the connection (SO_PEERCRED, unix(7)).
func checkPeer(conn net.Conn) error {
	socket, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return err
	}
	var peer *unix.Ucred
	var asking error
	err = socket.Control(func(fd uintptr) {
		peer, asking = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err != nil {
		return err
	}
	if asking != nil {
		return fmt.Errorf("peer credentials: %w", asking)
	}
	return mayAdminister(peer.Uid)
}
