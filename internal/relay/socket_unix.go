//go:build unix

package relay

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// whenReady returns what nextFromSocket runs when the socket may be readable.
func (r *reader) whenReady() func(fd uintptr) bool { return r.tryRead }

// nextFromSocket waits until the socket is readable, and only then takes a buffer.
func (r *reader) nextFromSocket() ([]byte, error) {
	if err := r.peer.socket.Read(r.try); err != nil {
		return nil, err
	}
	switch {
	case r.err != nil:
		return nil, os.NewSyscallError("read", r.err)
	case r.n == 0:
		return nil, io.EOF
	}
	return r.buffer[:r.n], nil
}

// tryRead reads what is there. It holds no buffer when it reports false: nothing is, so wait.
func (r *reader) tryRead(fd uintptr) bool {
	r.buffer = socketBuffers.Get().(*[socketBuffer]byte)
	for {
		r.n, r.err = unix.Read(int(fd), r.buffer[:])
		if r.err != unix.EINTR {
			break
		}
	}
	if r.err == unix.EAGAIN {
		r.release()
		return false
	}
	return true
}

// awaitReset waits, after the last read, until the peer's connection breaks, and returns how; or until the stream is
// closed. It returns nil at once if there is no socket to watch. Of a Unix socket it can also be seen that the other end has
// closed it altogether, and not only ended its direction: then it is gone.
//
// A socket whose end was read shows a reset in no later read; but the runtime's poller is edge-triggered, and a reset is
// an edge.
func (p *peer) awaitReset() (gone bool, err error) {
	if waiter, ok := p.stream.(resetWaiter); ok {
		return false, waiter.AwaitReset()
	}
	if p.socket == nil {
		return false, nil
	}
	var broken error
	err = p.socket.Read(func(fd uintptr) bool {
		broken = socketError(int(fd))
		gone = p.local && events(int(fd))&unix.POLLHUP != 0
		return broken != nil || gone
	})
	if broken != nil {
		return false, broken
	}
	return gone && err == nil, err
}

// hasError reports whether the peer's connection broke, without taking the error from the next read.
func (p *peer) hasError() (yes bool) {
	if carried, ok := p.stream.(interface{ Broken() bool }); ok {
		return carried.Broken()
	}
	if p.socket == nil {
		return false
	}
	_ = p.socket.Control(func(fd uintptr) { yes = events(int(fd))&unix.POLLERR != 0 })
	return yes
}

// socketError returns the error that is pending on a socket, nil if there is none.
func socketError(fd int) error {
	if events(fd)&(unix.POLLERR|unix.POLLHUP) == 0 {
		return nil // not asking SO_ERROR, which on Linux also has errors that the connection may yet survive
	}
	code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil || code == 0 { // a pipe has no such option, and no reset
		return nil
	}
	return unix.Errno(code)
}

// events returns which of POLLERR and POLLHUP hold for a socket.
func events(fd int) int16 {
	fds := []unix.PollFd{{Fd: int32(fd)}}
	for {
		_, err := unix.Poll(fds, 0)
		if err != unix.EINTR {
			return fds[0].Revents
		}
	}
}
