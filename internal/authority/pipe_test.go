package authority

import (
	"bytes"
	"io"
	"net"
	"sync"
)

// pipe connects two ends in memory. Unlike those of net.Pipe they do not wait for each other to read, as sockets do not:
// so both may give up at the same time.
func pipe() (net.Conn, net.Conn) {
	a, b := newHalf(), newHalf()
	return end{in: a, out: b}, end{in: b, out: a}
}

type end struct {
	net.Conn // nil: nobody asks for addresses or sets deadlines
	in, out  *half
}

func (e end) Read(p []byte) (int, error)  { return e.in.read(p) }
func (e end) Write(p []byte) (int, error) { return e.out.write(p) }

func (e end) Close() error {
	e.in.close()
	e.out.close()
	return nil
}

type half struct {
	mu      sync.Mutex
	changed sync.Cond
	bytes   bytes.Buffer
	closed  bool
}

func newHalf() *half {
	h := new(half)
	h.changed.L = &h.mu
	return h
}

func (h *half) read(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.bytes.Len() == 0 && !h.closed {
		h.changed.Wait()
	}
	return h.bytes.Read(p)
}

func (h *half) write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return 0, io.ErrClosedPipe
	}
	h.changed.Broadcast()
	return h.bytes.Write(p)
}

func (h *half) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	h.changed.Broadcast()
}
