package mihini

import "fmt"

// readFrames acts on every frame until the link ends, and returns why it did.
func (l *link) readFrames() error {
	in := NewReader(l.conn)
	for {
		f, err := in.Next()
		if err != nil {
			return err
		}
		if err := l.receive(f); err != nil {
			return err
		}
	}
}

// receive acts on a frame. The error ends the link. When the link has ended, frames are dropped: this side is leaving.
func (l *link) receive(f Frame) error {
	l.mu.Lock()
	l.seen++
	l.stats.FramesReceived++
	over := l.err != nil
	l.mu.Unlock()
	switch {
	case over:
	case f.Command == Data:
		l.receiveData(f)
	case f.Command == Close:
		l.receiveClose(f)
		if len(f.Payload) > 0 {
			return l.strike(fmt.Errorf("%w CLOSE: a payload of %d bytes", ErrMalformed, len(f.Payload)))
		}
	case f.Command == Connect && l.connect != nil:
		target, err := ParseConnect(f.Payload)
		if err != nil {
			l.refuseConnect(f.ID)
			return l.strike(err)
		}
		l.connect(f.ID, target)
	default:
		l.receiveUnknown(f)
		return l.strike(fmt.Errorf("%w: %v, id %d, %d bytes: not expected here", ErrMalformed, f.Command, f.ID, len(f.Payload)))
	}
	return nil
}

// receiveData hands DATA to its stream. Where there is none, the peer is told so, as the original programs do: a device
// says nothing to DATA without bytes.
func (l *link) receiveData(f Frame) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.slots[f.ID].stream
	switch {
	case s != nil && s.knownToPeer() && !s.over():
		if len(f.Payload) > 0 {
			s.heard()
			l.deliver(s, f.Payload)
		}
	case l.ids == nil && len(f.Payload) == 0:
	case l.ids == nil && l.early.keep(f):
	default:
		l.stats.Strays++
		l.oweClose(f.ID)
	}
}

// receiveClose acts on CLOSE, which is never an answer to what is not open.
func (l *link) receiveClose(f Frame) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.slots[f.ID].stream
	switch {
	case s != nil && s.knownToPeer():
		s.heard()
		s.receiveClose()
	case l.ids != nil && l.ids.answered(f.ID):
		l.freed.Broadcast()
	default:
		l.stats.Strays++
	}
}

// receiveUnknown acts on a command that this side does not know. Only a server answers, and only where no stream is
// open.
func (l *link) receiveUnknown(f Frame) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ids != nil && l.slots[f.ID].stream == nil {
		l.oweClose(f.ID)
	}
}

// oweClose has a CLOSE sent for an id that is not open.
func (l *link) oweClose(id uint8) {
	l.slots[id].owe = true
	l.schedule(id)
}
