//go:build unix

package tcpmux

import (
	"bytes"
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// narrow waits until conn is readable and returns the part of window that can be read without taking a byte after the
// first LF. What is peeked without an LF belongs to the line: the caller takes it, so that the next peek waits for more,
// and sees the end of the stream. A connection that is no bare socket cannot be peeked: it returns the whole window.
func narrow(conn net.Conn, window []byte) ([]byte, error) {
	socket := bareSocket(conn)
	if socket == nil {
		return window, nil
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil, err
	}
	var n int
	var peekErr error
	err = raw.Read(func(fd uintptr) bool {
		n, peekErr = peek(int(fd), window)
		return peekErr != unix.EAGAIN
	})
	switch {
	case err != nil:
		return nil, err
	case peekErr != nil:
		return nil, os.NewSyscallError("recvfrom", peekErr)
	case n == 0:
		return nil, io.EOF
	}
	if i := bytes.IndexByte(window[:n], '\n'); i >= 0 {
		n = i + 1
	}
	return window[:n], nil
}

func bareSocket(conn net.Conn) syscall.Conn {
	switch conn := conn.(type) {
	case *net.TCPConn:
		return conn
	case *net.UnixConn:
		return conn
	}
	return nil
}

func peek(fd int, p []byte) (n int, err error) {
	for {
		n, _, err = unix.Recvfrom(fd, p, unix.MSG_PEEK)
		if err != unix.EINTR {
			return n, err
		}
	}
}
