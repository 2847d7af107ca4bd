package mihini

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// A pipe is one direction of a connection in memory: a queue with a limit, as a socket has.
type pipe struct {
	mu     sync.Mutex
	change sync.Cond
	buf    []byte
	limit  int
	ended  bool  // the writer has ended it
	broken error // why it can neither be read nor written
	wrote  int   // calls of Write
	frames [][]byte
	record bool
	readBy deadline
}

func newPipe(limit int) *pipe {
	p := &pipe{limit: limit}
	p.change.L = &p.mu
	return p
}

func (p *pipe) read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.broken != nil:
			return 0, p.broken
		case p.readBy.passed():
			return 0, os.ErrDeadlineExceeded
		case len(p.buf) > 0:
			n := copy(b, p.buf)
			p.buf = p.buf[n:]
			p.change.Broadcast()
			return n, nil
		case p.ended:
			return 0, io.EOF
		}
		p.change.Wait()
	}
}

func (p *pipe) write(b []byte, by *deadline) (n int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wrote++
	if p.record {
		p.frames = append(p.frames, append([]byte(nil), b...))
	}
	for {
		switch {
		case p.broken != nil:
			return n, p.broken
		case p.ended:
			return n, io.ErrClosedPipe
		case by.passed():
			return n, os.ErrDeadlineExceeded
		case n == len(b):
			return n, nil
		}
		if m := min(len(b)-n, p.limit-len(p.buf)); m > 0 {
			p.buf = append(p.buf, b[n:n+m]...)
			n += m
			p.change.Broadcast()
			continue
		}
		p.change.Wait()
	}
}

func (p *pipe) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	p.change.Broadcast()
}

func (p *pipe) breakWith(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken == nil {
		p.broken = err
	}
	p.change.Broadcast()
}

// A memConn is one end of a connection in memory. It has CloseWrite, as TCP has.
type memConn struct {
	in, out *pipe
	writeBy *deadline // guarded by out.mu
	once    sync.Once
}

// memPair returns a connection whose directions hold limit bytes each.
func memPair(limit int) (a, b *memConn) {
	x, y := newPipe(limit), newPipe(limit)
	return &memConn{in: x, out: y, writeBy: &deadline{}}, &memConn{in: y, out: x, writeBy: &deadline{}}
}

func (c *memConn) Read(b []byte) (int, error)  { return c.in.read(b) }
func (c *memConn) Write(b []byte) (int, error) { return c.out.write(b, c.writeBy) }
func (c *memConn) CloseWrite() error           { c.out.end(); return nil }

// Close ends our direction; what is still sent to us breaks.
func (c *memConn) Close() error {
	c.once.Do(func() {
		c.in.breakWith(net.ErrClosed)
		c.out.end()
		c.out.mu.Lock()
		c.writeBy.stop()
		c.out.mu.Unlock()
		c.in.mu.Lock()
		c.in.readBy.stop()
		c.in.mu.Unlock()
	})
	return nil
}

// sever breaks both directions, as a cut cable and a timeout do.
func (c *memConn) sever() {
	c.in.breakWith(io.ErrUnexpectedEOF)
	c.out.breakWith(io.ErrUnexpectedEOF)
}

func (c *memConn) SetDeadline(t time.Time) error {
	c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

func (c *memConn) SetReadDeadline(t time.Time) error {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	c.in.readBy.set(t, &c.in.change)
	return nil
}

func (c *memConn) SetWriteDeadline(t time.Time) error {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	c.writeBy.set(t, &c.out.change)
	return nil
}

func (c *memConn) LocalAddr() net.Addr  { return memAddr{} }
func (c *memConn) RemoteAddr() net.Addr { return memAddr{} }

type memAddr struct{}

func (memAddr) Network() string { return "memory" }
func (memAddr) String() string  { return "memory" }
