package admin

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// listenPrivate gives the socket mode 0600 just after it was made. Whoever connects in between is stopped by checkPeer.
func listenPrivate(path string) (net.Listener, error) {
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		listener.Close()
		return nil, err
	}
	return listener, nil
}

// checkPeer asks the kernel who made the connection (LOCAL_PEERCRED, unix(4)).
func checkPeer(conn net.Conn) error {
	socket, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return err
	}
	var peer *unix.Xucred
	var asking error
	err = socket.Control(func(fd uintptr) {
		peer, asking = unix.GetsockoptXucred(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	})
	if err != nil {
		return err
	}
	if asking != nil {
		return fmt.Errorf("peer credentials: %w", asking)
	}
	return mayAdminister(peer.Uid)
}
