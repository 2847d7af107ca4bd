package tlsstream

import (
	"net"
	"sync"
)

// maxRecord is how many bytes of what is written a record of TLS has at most (RFC 8446, section 5.1).
const maxRecord = 16 << 10

// outputSize is room for four records with what TLS adds to them, in bytes.
const outputSize = 4*maxRecord + 1<<10

var outputBuffers = sync.Pool{New: func() any { return new([outputSize]byte) }}

// An output holds records back until there are several.
type output struct {
	conn *net.TCPConn

	mu     sync.Mutex        // guards what follows, and the order of what is written
	held   bool              // from hold to release
	buffer *[outputSize]byte // from the pool; nil while nothing is in it
	n      int
	taken  int   // bytes, since hold
	passed int   // of them to the kernel
	err    error // the first one: what comes after it makes no sense to the peer
}

// hold begins to hold records back.
func (o *output) hold() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.held, o.taken, o.passed = true, 0, 0
}

// release passes on what is still held back. After an error it says which share of everything since hold was passed on.
func (o *output) release() (share float64, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flush()
	o.held = false
	return float64(o.passed) / float64(max(o.taken, 1)), o.err
}

func (o *output) write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.n+len(p) > outputSize {
		o.flush()
	}
	switch {
	case o.err != nil:
		return 0, o.err
	case !o.held || len(p) > outputSize:
		return o.conn.Write(p)
	case o.buffer == nil:
		o.buffer = outputBuffers.Get().(*[outputSize]byte)
	}
	o.n += copy(o.buffer[o.n:], p)
	o.taken += len(p)
	return len(p), nil
}

// flush is called with the lock held.
func (o *output) flush() {
	if o.buffer == nil {
		return
	}
	if o.err == nil {
		var n int
		n, o.err = o.conn.Write(o.buffer[:o.n])
		o.passed += n
	}
	outputBuffers.Put(o.buffer)
	o.buffer, o.n = nil, 0
}
