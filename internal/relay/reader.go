package relay

import "sync"

// The sizes of buffers in bytes. The buffer of a bare socket, and of a stream that can be waited for without one, is in use
// only while bytes move, so it may be large (twice as much was not measurably faster). Any other stream has to be read to know
// whether there is something: it keeps a small buffer for the whole session, and as long as that would be filled, has one with
// room for a TLS record.
const (
	socketBuffer = 128 << 10
	streamBuffer = 16 << 10
	waitBuffer   = 2 << 10 // for the shorter records of somebody who types, or asks

	// carriedChunk is what is read at once of a stream that shares its connection with others: what was read counts as taken by
	// the other side, and who takes nothing must be found out.
	carriedChunk = 32 << 10
)

var (
	socketBuffers = sync.Pool{New: func() any { return new([socketBuffer]byte) }}
	streamBuffers = sync.Pool{New: func() any { return new([streamBuffer]byte) }}
)

// A reader takes chunks from one peer. It belongs to one goroutine.
type reader struct {
	peer   *peer
	stream []byte              // for a stream that is no bare socket
	large  *[streamBuffer]byte // from the pool, for such a stream; nil while the last chunk was small
	buffer *[socketBuffer]byte // from the pool; nil while waiting

	try   func(fd uintptr) bool // reads a bare socket that is ready; nil for another stream
	await func()                // waits until another stream need not wait in Read; nil if it has no such method
	chunk int                   // what is read at once then
	n     int                   // what it found
	err   error

	more bool // the last chunk of a stream that is no bare socket was not small
}

func newReader(p *peer) *reader {
	r := &reader{peer: p}
	if p.bare {
		r.try = r.whenReady()
	}
	if waiter, ok := p.stream.(interface{ AwaitRead() }); ok {
		r.await, r.chunk = waiter.AwaitRead, socketBuffer
		if _, carried := p.stream.(carrier); carried {
			r.chunk = carriedChunk
		}
	} else if r.try == nil {
		r.stream = make([]byte, waitBuffer)
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
		n, err := r.peer.stream.Read(r.buffer[:r.chunk])
		return r.buffer[:n], err
	}
	return r.nextFromStream()
}

// nextFromStream reads into what the last chunk suggests.
func (r *reader) nextFromStream() ([]byte, error) {
	into := r.stream
	if r.large != nil {
		into = r.large[:]
	}
	n, err := r.peer.stream.Read(into)
	r.more = n >= waitBuffer
	return into[:n], err
}

// release gives the chunk's buffer back.
func (r *reader) release() {
	if r.buffer != nil {
		socketBuffers.Put(r.buffer)
		r.buffer = nil
	}
	switch {
	case r.more && r.large == nil:
		r.large = streamBuffers.Get().(*[streamBuffer]byte)
	case !r.more && r.large != nil:
		streamBuffers.Put(r.large)
		r.large = nil
	}
}
