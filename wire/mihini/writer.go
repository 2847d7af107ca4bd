package mihini

import "sync"

// maxWaiting is how many DATA frames of one stream wait for their turn.
const maxWaiting = 2

// A parcel is a DATA frame in the making; its first HeaderSize bytes are the header's place.
type parcel struct {
	n   int // bytes of payload
	buf [MaxSent]byte
}

const maxParcel = MaxSent - HeaderSize

var parcels = sync.Pool{New: func() any { return new(parcel) }}

func (p *parcel) add(b []byte) int {
	n := copy(p.buf[HeaderSize+p.n:], b)
	p.n += n
	return n
}

// A ring is a queue of ids, each at most once in it.
type ring struct {
	ids  [MaxStreams]uint8
	head uint8
	n    int
}

func (r *ring) push(id uint8) {
	r.ids[r.head+uint8(r.n)] = id
	r.n++
}

func (r *ring) pop() uint8 {
	id := r.ids[r.head]
	r.head++
	r.n--
	return id
}

// schedule gives an id a turn. The caller holds mu.
func (l *link) schedule(id uint8) {
	if sl := &l.slots[id]; !sl.queued {
		sl.queued = true
		l.ready.push(id)
		l.work.Signal()
	}
}

// writeFrames sends one frame of each id in turn, each in one Write, until the link ends.
func (l *link) writeFrames() {
	var short [HeaderSize + 1]byte
	for {
		out, ok := l.next(short[:0])
		if !ok {
			return
		}
		_, err := l.conn.Write(out.bytes)
		if err != nil {
			l.end(err)
			return
		}
		l.wrote(out)
	}
}

// outgoing is a frame on its way.
type outgoing struct {
	bytes  []byte
	parcel *parcel // to be given back; nil if it is none
	closes *Stream // the stream whose CLOSE it is; nil if it is none
}

// next waits for a frame to send, built in buf if it is short. It is false when the link has ended.
func (l *link) next(buf []byte) (outgoing, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		for l.ready.n == 0 && l.err == nil {
			l.work.Wait()
		}
		if l.err != nil {
			return outgoing{}, false
		}
		id := l.ready.pop()
		l.slots[id].queued = false
		if out, ok := l.take(id, buf); ok {
			l.stats.FramesSent++
			return out, true
		}
	}
}

// take returns the id's next frame and gives the id another turn if there are more.
func (l *link) take(id uint8, buf []byte) (out outgoing, ok bool) {
	sl := &l.slots[id]
	s := sl.stream
	switch {
	case sl.owe:
		sl.owe = false
		out.bytes = appendHeader(buf, 0, Close, id)
	case sl.probe:
		sl.probe = false
		out.bytes = l.appendProbe(buf, id)
	case s == nil:
		return outgoing{}, false
	default:
		if out, ok = s.take(buf); !ok {
			return outgoing{}, false
		}
	}
	if sl.probe || s != nil && s.hasFrames() {
		l.schedule(id)
	}
	return out, true
}

// wrote notes that a frame was sent.
func (l *link) wrote(out outgoing) {
	if out.parcel != nil {
		parcels.Put(out.parcel)
	}
	if out.closes != nil {
		l.mu.Lock()
		out.closes.wroteClose()
		l.mu.Unlock()
	}
}
