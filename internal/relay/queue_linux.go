package relay

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

// queued returns how many bytes that were written wait in the kernel until the peer's side has taken them; 0 if that
// cannot be known.
func (p *peer) queued() (n int) {
	if p.socket == nil {
		return 0
	}
	_ = p.socket.Control(func(fd uintptr) {
		n, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
	})
	return n
}

// unsettled reports whether a reset would discard bytes that were written.
func (p *peer) unsettled() (pending bool) {
	if p.socket == nil {
		return false
	}
	_ = p.socket.Control(func(fd uintptr) {
		n, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
		pending = err == nil && n > 0 && events(int(fd))&unix.POLLERR == 0
	})
	return pending
}

// disguisedReset tells, after an EOF, whether it really was a reset. Linux reports a reset once: when a write to the
// socket took the error, the read after it sees EOF. With a FIN before it, the write saw EPIPE.
func (p *peer) disguisedReset() error {
	if p.socket == nil || p.program || !p.hungUp() {
		return nil
	}
	p.writing.Lock() // a socket that hung up keeps no write waiting
	defer p.writing.Unlock()
	err := p.refusal()
	if errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ENOTCONN) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// hungUp reports whether neither direction of the socket is open.
func (p *peer) hungUp() (yes bool) {
	_ = p.socket.Control(func(fd uintptr) { yes = events(int(fd))&unix.POLLHUP != 0 })
	return yes
}
