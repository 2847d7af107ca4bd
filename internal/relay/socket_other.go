//go:build !unix

package relay

import "io"

// whenReady returns nil: every stream is read with a buffer here.
func (*reader) whenReady() func(fd uintptr) bool { return nil }

func (*reader) nextFromSocket() ([]byte, error) { return nil, io.EOF }

// awaitReset cannot watch a socket here: a reset after the end of a direction is seen by the next write.
func (p *peer) awaitReset() (gone bool, err error) {
	if waiter, ok := p.stream.(resetWaiter); ok {
		return false, waiter.AwaitReset()
	}
	return false, nil
}

// hasError cannot look at a socket here.
func (p *peer) hasError() bool {
	carried, ok := p.stream.(interface{ Broken() bool })
	return ok && carried.Broken()
}
