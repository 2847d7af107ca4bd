package mihini

import (
	"context"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"time"
)

// A Stream is one client's connection through the link. It is a net.Conn with CloseWrite; its methods may be called
// from several goroutines. Read returns io.EOF after the peer's CLOSE, and otherwise one of the package's errors when
// what was read may be cut short.
type Stream struct {
	link   *link
	id     uint8
	target Target
	opened time.Time
	broken context.CancelFunc // tells the device's goroutines that the stream has ended other than in order; may be nil

	// All below is guarded by link.mu, which is the lock of the conditions too.
	in        queue  // from the peer
	received  int64  // bytes that came into it
	taken     int64  // bytes that were read from it
	pace      pace   // since the queue was empty
	onStall   func() // nil: nobody wants to know
	readable  sync.Cond
	readErr   error // follows what is in the queue; nil while more may come
	readLimit deadline

	out        []*parcel // to the peer
	sent       int64
	writable   sync.Cond
	writeErr   error // what Write returns; nil while it may write
	writeLimit deadline
	abrupt     bool // Close drops what is in out

	closing
}

// ID returns the stream's id on the link. It says nothing after the stream has ended: ids are used again.
func (s *Stream) ID() uint8 { return s.id }

// Target returns where the device was asked to connect to.
func (s *Stream) Target() Target { return s.target }

// Transfer returns the bytes of the stream that came from the peer, and that the link took for it.
func (s *Stream) Transfer() (received, sent int64) {
	s.link.mu.Lock()
	defer s.link.mu.Unlock()
	return s.received, s.sent
}

// Read waits for bytes from the peer.
func (s *Stream) Read(p []byte) (int, error) {
	s.link.mu.Lock()
	defer s.link.mu.Unlock()
	if len(p) == 0 {
		return 0, nil
	}
	if err := s.awaitBytes(); err != nil {
		return 0, err
	}
	n := s.in.read(p)
	s.took(n)
	return n, nil
}

// awaitBytes waits until the queue is not empty. The caller holds link.mu.
func (s *Stream) awaitBytes() error {
	for {
		switch {
		case s.closed:
			return s.opError("read", net.ErrClosed)
		case s.readLimit.passed():
			return s.opError("read", os.ErrDeadlineExceeded)
		case s.in.size > 0:
			return nil
		case s.readErr == io.EOF:
			return io.EOF
		case s.readErr != nil:
			return s.opError("read", s.readErr)
		}
		s.readable.Wait()
	}
}

// AwaitRead waits until Read need not: bytes are there, the stream has ended, or the deadline has passed. Who waits with it
// needs no buffer meanwhile.
func (s *Stream) AwaitRead() {
	s.link.mu.Lock()
	defer s.link.mu.Unlock()
	_ = s.awaitBytes() // as Read will tell
}

// Broken reports whether the stream has ended other than in order and nothing is left to be read.
func (s *Stream) Broken() bool {
	s.link.mu.Lock()
	defer s.link.mu.Unlock()
	return s.in.size == 0 && s.readErr != nil && s.readErr != io.EOF
}

// WriteTo writes to w what Read would return, without a buffer while there is nothing. Only what w took counts as read.
func (s *Stream) WriteTo(w io.Writer) (n int64, err error) {
	for {
		b, err := s.nextBlock()
		if err == io.EOF {
			return n, nil
		} else if err != nil {
			return n, err
		}
		m, err := w.Write(b.data[b.r:b.w])
		n += int64(m)
		s.link.mu.Lock()
		s.took(b.w - b.r)
		s.link.mu.Unlock()
		blocks.Put(b)
		if err != nil {
			return n, err
		}
	}
}

// nextBlock waits for bytes and takes a block of them out of the queue. They count as queued still.
func (s *Stream) nextBlock() (*block, error) {
	s.link.mu.Lock()
	defer s.link.mu.Unlock()
	if err := s.awaitBytes(); err != nil {
		return nil, err
	}
	return s.in.take(), nil
}

// Write waits until the link has a place for each byte of p. It returns before they are sent.
func (s *Stream) Write(p []byte) (n int, err error) {
	s.link.mu.Lock()
	defer s.link.mu.Unlock()
	for {
		switch {
		case s.writeErr != nil:
			return n, s.opError("write", s.writeErr)
		case s.writeLimit.passed():
			return n, s.opError("write", os.ErrDeadlineExceeded)
		case n == len(p):
			return n, nil
		}
		if m := s.put(p[n:]); m > 0 {
			n += m
			s.sent += int64(m)
			continue
		}
		s.writable.Wait()
	}
}

// put takes the beginning of b into a frame that waits for its turn; 0 bytes if there is no room.
func (s *Stream) put(b []byte) int {
	if last := len(s.out) - 1; last >= 0 && s.out[last].n < maxParcel {
		return s.out[last].add(b)
	}
	if len(s.out) == maxWaiting {
		return 0
	}
	p := parcels.Get().(*parcel)
	p.n = 0
	s.out = append(s.out, p)
	s.link.schedule(s.id)
	return p.add(b)
}

// LocalAddr returns the address of the link's connection on this side.
func (s *Stream) LocalAddr() net.Addr { return s.link.conn.LocalAddr() }

// RemoteAddr returns the service's address as the device was asked for it. It need not mean anything to this side.
func (s *Stream) RemoteAddr() net.Addr { return s.target }

// Network returns "mihini".
func (Target) Network() string { return "mihini" }

// String returns the address and the port as [net.Dial] takes them.
func (t Target) String() string { return net.JoinHostPort(t.Address, strconv.Itoa(int(t.Port))) }

// SetDeadline sets both deadlines.
func (s *Stream) SetDeadline(t time.Time) error {
	_ = s.SetReadDeadline(t)
	return s.SetWriteDeadline(t)
}

// SetReadDeadline sets when Read gives up waiting. It may be called while Read waits.
func (s *Stream) SetReadDeadline(t time.Time) error {
	return s.setDeadline(&s.readLimit, &s.readable, t)
}

// SetWriteDeadline sets when Write gives up waiting. It may be called while Write waits.
func (s *Stream) SetWriteDeadline(t time.Time) error {
	return s.setDeadline(&s.writeLimit, &s.writable, t)
}

func (s *Stream) setDeadline(d *deadline, waiting *sync.Cond, t time.Time) error {
	s.link.mu.Lock()
	defer s.link.mu.Unlock()
	if s.closed {
		return s.opError("set deadline", net.ErrClosed)
	}
	d.set(t, waiting)
	return nil
}

func (s *Stream) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: s.target.Network(), Addr: s.target, Err: err}
}

// A deadline wakes those who wait when it passes.
type deadline struct {
	at    time.Time // zero: never
	timer *time.Timer
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

// set is called with the lock of waiting held.
func (d *deadline) set(at time.Time, waiting *sync.Cond) {
	d.stop()
	d.at = at
	if wait := time.Until(at); wait > 0 && !at.IsZero() {
		d.timer = time.AfterFunc(wait, func() {
			waiting.L.Lock()
			defer waiting.L.Unlock()
			waiting.Broadcast()
		})
	}
	waiting.Broadcast()
}

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}
