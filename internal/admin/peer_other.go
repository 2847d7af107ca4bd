//go:build !linux && !darwin

package admin

import (
	"net"
	"os"
)

// listenPrivate gives the socket mode 0600 just after it was made; keep data_dir itself private.
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

// checkPeer lets everybody pass whom the modes of the socket and of data_dir let through: there is nobody to ask here.
func checkPeer(net.Conn) error { return nil }
