package builtin

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"jackfield"
)

// queueSize is how many bytes each direction of a pipe holds before a writer waits.
const queueSize = 16 << 10

// pipe returns the two ends of a stream in memory. Its directions end separately and each holds up to 16 KiB, so that one
// end can write before the other reads; what was written before an end closed can still be read from the other.
func pipe() (a, b jackfield.Stream) {
	there, back := newQueue(), newQueue()
	return &end{in: back, out: there}, &end{in: there, out: back}
}

// An end of a pipe.
type end struct{ in, out *queue }

func (e *end) Read(b []byte) (int, error)  { return e.in.read(b) }
func (e *end) Write(b []byte) (int, error) { return e.out.write(b) }
func (e *end) LocalAddr() net.Addr         { return pipeAddr{} }
func (e *end) RemoteAddr() net.Addr        { return pipeAddr{} }

func (e *end) CloseWrite() error {
	e.out.close(&e.out.writer)
	return nil
}

func (e *end) Close() error {
	e.out.close(&e.out.writer)
	e.in.close(&e.in.reader)
	return nil
}

func (e *end) SetDeadline(t time.Time) error {
	e.SetReadDeadline(t)
	return e.SetWriteDeadline(t)
}

func (e *end) SetReadDeadline(t time.Time) error {
	e.in.setDeadline(&e.in.reader, t)
	return nil
}

func (e *end) SetWriteDeadline(t time.Time) error {
	e.out.setDeadline(&e.out.writer, t)
	return nil
}

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

// A queue is one direction of a pipe.
type queue struct {
	mu      sync.Mutex // guards everything below
	changed sync.Cond  // signals every change below
	data    []byte     // at most queueSize; nil while nothing is under way
	reader  side
	writer  side
}

// A side of a queue: the end of the pipe that reads from it, or the one that writes.
type side struct {
	closed bool
	late   bool        // the deadline has passed
	timer  *time.Timer // of the deadline that is to come; nil without one
}

func newQueue() *queue {
	q := new(queue)
	q.changed.L = &q.mu
	return q
}

func (q *queue) read(b []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		switch {
		case q.reader.closed:
			return 0, net.ErrClosed
		case q.reader.late:
			return 0, os.ErrDeadlineExceeded
		case len(b) == 0:
			return 0, nil
		case len(q.data) > 0:
			return q.take(b), nil
		case q.writer.closed:
			return 0, io.EOF
		}
		q.changed.Wait()
	}
}

// take moves bytes out of the queue. The caller holds q.mu.
func (q *queue) take(b []byte) int {
	n := copy(b, q.data)
	q.data = q.data[:copy(q.data, q.data[n:])]
	if len(q.data) == 0 {
		q.data = nil
	}
	q.changed.Broadcast()
	return n
}

func (q *queue) write(b []byte) (written int, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		switch {
		case q.writer.closed:
			return written, net.ErrClosed
		case q.writer.late:
			return written, os.ErrDeadlineExceeded
		case q.reader.closed:
			return written, syscall.EPIPE
		}
		n := min(len(b)-written, queueSize-len(q.data))
		if n > 0 {
			q.data = append(q.data, b[written:written+n]...)
			q.changed.Broadcast()
			written += n
		}
		if written == len(b) {
			return written, nil
		}
		q.changed.Wait()
	}
}

// close closes one side: what the writer left can still be read, what the reader left is gone.
func (q *queue) close(s *side) {
	q.setDeadline(s, time.Time{})
	q.mu.Lock()
	defer q.mu.Unlock()
	s.closed = true
	if q.reader.closed {
		q.data = nil
	}
	q.changed.Broadcast()
}

// setDeadline replaces a side's deadline, as net.Conn has it: the zero time is none. It does nothing to a closed side.
func (q *queue) setDeadline(s *side, t time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if s.closed {
		return
	}
	if s.timer != nil {
		s.timer.Stop()
	}
	s.timer = nil
	s.late = !t.IsZero() && !time.Now().Before(t)
	q.changed.Broadcast()
	if t.IsZero() || s.late {
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(time.Until(t), func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if s.timer == timer { // otherwise it fired while it was being replaced
			s.late = true
			q.changed.Broadcast()
		}
	})
	s.timer = timer
}
