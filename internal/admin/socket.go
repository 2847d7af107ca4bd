package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// maxSocketPath is the length in bytes of the longest path of a socket here: the kernel's field holds a NUL behind it.
const maxSocketPath = len(syscall.RawSockaddrUnix{}.Path) - 1

// ListenSocket listens on the Unix socket path, which only this process's user and root may use. A socket that a server
// left behind is replaced; it is an error if a server answers on it.
//
// It serves nothing before SetHandler.
func ListenSocket(path string, log *slog.Logger) (*Server, error) {
	return listenSocket(path, log, checkPeer)
}

// A peerCheck says what keeps the other side of a connection from administering; nil: nothing.
type peerCheck func(net.Conn) error

func listenSocket(path string, log *slog.Logger, check peerCheck) (*Server, error) {
	if err := checkSocketPath(path); err != nil {
		return nil, err
	}
	unlock, err := lock(path + ".lock")
	if err != nil {
		return nil, fmt.Errorf("admin socket: %w", err)
	}
	if err := removeStale(path); err != nil {
		unlock()
		return nil, err
	}
	listener, err := listenPrivate(path)
	if err != nil {
		unlock()
		return nil, fmt.Errorf("admin socket: %w", err)
	}
	server := newServer(listener, nil, log)
	server.unlock = unlock
	server.http.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, peerKey{}, check(conn))
	}
	return server, nil
}

func checkSocketPath(path string) error {
	if len(path) > maxSocketPath {
		return fmt.Errorf("the path of the admin socket has %d bytes, this system allows %d: use a shorter data_dir (%s)",
			len(path), maxSocketPath, path)
	}
	return nil
}

// removeStale removes a socket that nobody answers on. The caller holds the directory's lock, so that of two servers
// that start at once only one gets here before the other one listens.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("admin socket: %w", err)
	case info.Mode()&fs.ModeSocket == 0:
		return fmt.Errorf("admin socket: %s is there and is not a socket: move it away", path)
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		conn.Close()
	}
	if !isRefused(err) {
		return fmt.Errorf("another server runs with this data_dir (%s): stop it, or give this one a data_dir of its own",
			filepath.Dir(path))
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("admin socket: nobody answers on it, but it cannot be replaced: %w", err)
	}
	return nil
}

// peerKey is the key of the connection's peerCheck result in a request's context, where net/http lets us put it.
type peerKey struct{}

// PeerError is what keeps the sender of a request to the socket from administering, or nil.
func PeerError(r *http.Request) error {
	err, _ := r.Context().Value(peerKey{}).(error)
	return err
}

// mayAdminister allows our own user and root.
func mayAdminister(uid uint32) error {
	if uid == 0 || uid == uint32(os.Geteuid()) {
		return nil
	}
	return fmt.Errorf("user %d is neither root nor the server's own", uid)
}
