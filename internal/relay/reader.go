package relay

import "sync"

// The sizes of buffers in bytes. The buffer of a bare socket, and of a stream that can be waited for without one, is in use
// only while bytes move, so it may be large (twice as much was not measurably faster); any other stream keeps one for the whole
// session: room for a TLS record.
const (
	socketBuffer = 128 << 10
	streamBuffer = 16 << 10

	// carriedChunk is what is read at once of a stream that shares its connection with others: what was read counts as taken by
	// the other side, and who takes nothing must be found out.
	carriedChunk = 32 << 10
)

var socketBuffers = sync.Pool{New: func() any { return new([socketBuffer]byte) }}

// A reader takes chunks from one peer. It belongs to one goroutine.
type reader struct {
	peer   *peer
	stream []byte              // for a stream that is no bare socket
	buffer *[socketBuffer]byte // from the pool; nil while waiting

	try   func(fd uintptr) bool // reads a bare socket that is ready; nil for another stream
	await func()                // waits until another stream need not wait in Read; nil if it has no such method
	n     int                   // what it found
	err   error
}

func newReader(p *peer) *reader {
	r := &reader{peer: p}
	if p.bare {
		r.try = r.whenReady()
	}
	if waiter, ok := p.stream.(interface{ AwaitRead() }); ok {
		r.await = waiter.AwaitRead
	} else if r.try == nil {
		r.stream = make([]byte, streamBuffer)
	}
	return r
}

// next waits for a chunk, which is valid until release. The chunk may be followed by an error, io.EOF at the end.
func (r *reader) next() ([]byte, error) {
	switch {
	case r.try != nil:
		return r.nextFromSocket()
	case r.await != nil:
		r.await()
		r.buffer = socketBuffers.Get().(*[socketBuffer]byte)
		n, err := r.peer.stream.Read(r.buffer[:carriedChunk])
		return r.buffer[:n], err
	}
	n, err := r.peer.stream.Read(r.stream)
	return r.stream[:n], err
}

// release gives the chunk's buffer back.
func (r *reader) release() {
	if r.buffer != nil {
		socketBuffers.Put(r.buffer)
		r.buffer = nil
	}
}
