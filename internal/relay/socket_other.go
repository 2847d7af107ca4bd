//go:build !unix

package relay

import "io"

// whenReady returns nil: every stream is read with a buffer here.
func (*reader) whenReady() func(fd uintptr) bool { return nil }

func (*reader) nextFromSocket() ([]byte, error) { return nil, io.EOF }

// awaitReset cannot watch a socket here: a reset after the end of a direction is seen by the next write.
func (*peer) awaitReset() (gone bool, err error) { return false, nil }

// hasError cannot look at a socket here.
func (*peer) hasError() bool { return false }
