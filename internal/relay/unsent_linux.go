package relay

import "golang.org/x/sys/unix"

// maxUnsent is how many bytes the kernel holds for a peer that it has not sent yet, about.
const maxUnsent = 128 << 10

// limitUnsent keeps the kernel from taking more and more for a peer that takes nothing itself: for megabytes and seconds, it
// would look as if it did. What is on its way is not limited (TCP_NOTSENT_LOWAT, tcp(7)).
func (p *peer) limitUnsent() {
	if p.socket == nil {
		return
	}
	_ = p.socket.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, maxUnsent) // no TCP: nothing to limit
	})
}
