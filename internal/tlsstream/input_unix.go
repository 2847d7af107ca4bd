//go:build unix

package tlsstream

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
)

// inputSize is how many bytes are read at once.
const inputSize = 64 << 10

var inputBuffers = sync.Pool{New: func() any { return new([inputSize]byte) }}

// An input reads ahead. It waits without a buffer.
type input struct {
	eager bool // Read does not wait

	socket syscall.RawConn
	try    func(fd uintptr) bool // fills the buffer, and reports false if there is nothing yet

	buffer   *[inputSize]byte // from the pool; nil while it is empty
	from, to int
	err      error
}

func (i *input) init(conn *net.TCPConn) {
	i.socket, i.err = conn.SyscallConn()
	i.try = i.tryRead
}

func (i *input) read(p []byte) (int, error) {
	if i.buffer == nil {
		if i.eager {
			return 0, errNothing
		}
		if err := i.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, i.buffer[i.from:i.to])
	if i.from += n; i.from == i.to {
		i.release()
	}
	return n, nil
}

// fill waits for bytes. Without an error it returns with some.
func (i *input) fill() error {
	if i.err != nil {
		return i.err
	}
	if err := i.socket.Read(i.try); err != nil {
		return err
	}
	var err error
	switch {
	case i.err != nil:
		err, i.err = os.NewSyscallError("read", i.err), nil
	case i.to == 0:
		err = io.EOF
	}
	if err != nil {
		i.release()
	}
	return err
}

func (i *input) tryRead(fd uintptr) bool {
	i.buffer = inputBuffers.Get().(*[inputSize]byte)
	i.from = 0
	for {
		i.to, i.err = syscall.Read(int(fd), i.buffer[:])
		if i.err != syscall.EINTR {
			break
		}
	}
	if i.err == syscall.EAGAIN {
		i.release()
		i.err = nil
		return false
	}
	return true
}

func (i *input) release() {
	inputBuffers.Put(i.buffer)
	i.buffer = nil
}
