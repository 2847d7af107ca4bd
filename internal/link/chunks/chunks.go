// Package chunks carries one stream after another on a connection with TLS, where setting up a connection for each would cost far more
// than most streams do.
//
//	stream := chunks.New(tlsstream.Of(conn))
//	...stream is joined to another one, and closed...
//	if stream.Whole() {
//		...conn may carry the next one...
//	}
//
// In each direction a stream is a sequence of chunks, each with its length before it, and then the end:
//
//	int32 length (1 to MaxChunk, little-endian) | bytes
//	...
//	int32 0
//
// The end of a direction is that of the stream's; the other direction goes on. There is no chunk for a reset: it is the connection's,
// which then carries nothing any more. A connection that ends within a stream has broken, even if it ended in order.
//
// Nothing beyond a stream is read, so what follows its end is the caller's. The package does not say whether the other side is done
// with what it was sent: docs/protocols/agent.md has a message for that.
package chunks

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"jackfield"
)

// MaxChunk is how many bytes a chunk has at most.
const MaxChunk = 1 << 20

// ErrLength says that the other side sent a chunk of a length that there is not.
var ErrLength = errors.New("a chunk has no such length")

// A Carrier is a connection that carries streams, such as a *tlsstream.Stream.
type Carrier interface {
	jackfield.Stream

	// AwaitRead waits until Read need not.
	AwaitRead()

	// WriteAll writes several buffers, as if they were one.
	WriteAll(buffers ...[]byte) (int, error)

	// NetConn is the connection below.
	NetConn() net.Conn
}

// A Stream is one of a connection's. It is read by one goroutine at a time, and written by one.
type Stream struct {
	Carrier

	// What is known of the next chunk. Of whoever reads.
	head    [4]byte
	have    int   // bytes of the head
	left    int   // bytes of the chunk
	failure error // of the head, for the next Read

	received, sent atomic.Bool // the ends of the directions
	closed         sync.Once
	closing        error
	whole          atomic.Bool
}

// New begins a stream. The one before it has been closed.
func New(c Carrier) *Stream { return &Stream{Carrier: c} }

// AwaitRead waits until Read need not. Who waits with it needs no buffer meanwhile.
func (s *Stream) AwaitRead() {
	if s.left == 0 && s.failure == nil && !s.received.Load() {
		s.left, s.failure = s.next()
		if s.left == 0 && s.failure == nil {
			s.received.Store(true)
		}
	}
	if s.left > 0 {
		s.Carrier.AwaitRead()
	}
}

// next reads the head of a chunk. After a deadline that has passed, it goes on.
func (s *Stream) next() (length int, err error) {
	for s.have < len(s.head) {
		n, err := s.Carrier.Read(s.head[s.have:])
		if s.have += n; err != nil {
			return 0, broken(err)
		}
	}
	n := int32(binary.LittleEndian.Uint32(s.head[:]))
	if n < 0 || n > MaxChunk {
		return 0, fmt.Errorf("%w: %d", ErrLength, n)
	}
	s.have = 0
	return int(n), nil
}

// Read implements net.Conn.
func (s *Stream) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if s.AwaitRead(); s.left == 0 {
		if s.received.Load() {
			return 0, io.EOF
		}
		err := s.failure
		s.failure = nil
		return 0, err
	}
	n, err := s.Carrier.Read(p[:min(len(p), s.left)])
	s.left -= n
	return n, broken(err)
}

// broken is what an error means within a stream.
func broken(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// pieceSize is how many bytes travel with their chunk's head in one buffer, with it: as many as a record of TLS holds.
const pieceSize = 16 << 10

var pieces = sync.Pool{New: func() any { return new([pieceSize]byte) }}

// Write implements net.Conn. After an error, the number of bytes is about what the connection has taken.
func (s *Stream) Write(p []byte) (written int, err error) {
	for written < len(p) && err == nil {
		var n int
		n, err = s.writeChunk(p[written:min(len(p), written+MaxChunk)])
		written += n
	}
	return written, err
}

func (s *Stream) writeChunk(p []byte) (int, error) {
	piece := pieces.Get().(*[pieceSize]byte)
	defer pieces.Put(piece)
	binary.LittleEndian.PutUint32(piece[:], uint32(len(p)))
	first := copy(piece[len(s.head):], p)
	n, err := s.WriteAll(piece[:len(s.head)+first], p[first:])
	return max(0, n-len(s.head)), err
}

// CloseWrite ends the direction, and leaves the connection open.
func (s *Stream) CloseWrite() error {
	_, err := s.Carrier.Write(make([]byte, len(s.head)))
	s.sent.Store(err == nil)
	return err
}

// Close implements net.Conn. If both directions have ended, the connection stays open: see Whole.
func (s *Stream) Close() error {
	s.closed.Do(func() {
		// Who waits for a reset still is woken by the deadline. It cannot be set if the connection was closed, as by a reset.
		if s.sent.Load() && s.received.Load() && s.SetReadDeadline(time.Unix(1, 0)) == nil {
			s.whole.Store(true)
			return
		}
		s.closing = s.Carrier.Close()
	})
	return s.closing
}

// Whole says, once the stream is closed, whether it has ended in order, and the connection may carry another one. Its deadlines are
// to be set anew.
func (s *Stream) Whole() bool { return s.whole.Load() }
