package mihini

import (
	"io"
	"net"
	"time"
)

// closing is how far a stream has come towards its end. It holds its id until both CLOSEs have passed, or the link ends.
//
//	this side                              the peer
//	CloseWrite, Close or an error: ending  CLOSE received: peerClosed
//	the close delay is over: due           the server, or strict: ending and due at once
//	CLOSE taken by the writer: taken       the device: ending when the service ends
//	CLOSE written: closeSent
//
// With closeSent and peerClosed the stream leaves its slot. Because frames find a stream through its slot, and a stream
// that has left it sends nothing, neither a late frame nor a late goroutine can touch the id's next stream.
type closing struct {
	connect    []byte // the frame CONNECT until it is taken by the writer: the peer does not know the stream yet
	sentAt     uint64 // the allocator's stamp of CONNECT; 0 once the device has reacted
	ending     bool   // nothing more is written; CLOSE follows what waits
	due        bool   // CLOSE waits for nothing else
	closeTaken bool
	closeSent  bool
	peerClosed bool
	unwanted   bool  // on the server: nobody wants what the device still sends
	again      again // CLOSE, because the device goes on sending although it is unwanted
	deaf       bool  // DATA that comes is dropped
	closed     bool  // by Close
	gone       bool  // has left its slot
	forsaken   bool  // the peer did not answer CLOSE in time
	cause      error // why the stream ended other than in order

	active time.Time // when something last happened that patience counts from
	timer  *time.Timer
}

// CloseWrite ends our direction, after what was written. The peer can only be told to close the stream, so this is done
// late: see [ServerOptions]. What the peer sends before it closes the stream is still read.
func (s *Stream) CloseWrite() error {
	s.link.mu.Lock()
	defer s.link.mu.Unlock()
	switch {
	case s.closed:
		return s.opError("close", net.ErrClosed)
	case s.writeErr == net.ErrClosed, s.writeErr == ErrPeerClosed:
		return nil
	case s.writeErr != nil:
		return s.opError("close", s.writeErr)
	}
	s.writeErr = net.ErrClosed
	if s.link.o.Strict {
		s.hear(io.EOF)
	}
	s.finish(s.link.o.Strict || s.link.closeDelay <= 0)
	return nil
}

// SetLinger with 0 makes Close drop what was written and is not yet sent; with any other value Close has it sent. There
// is no reset in the protocol.
func (s *Stream) SetLinger(seconds int) error {
	s.link.mu.Lock()
	defer s.link.mu.Unlock()
	s.abrupt = seconds == 0
	return nil
}

// Close ends both directions. What was written is still sent; what was not read, and what still comes, is dropped.
func (s *Stream) Close() error {
	s.link.mu.Lock()
	defer s.link.mu.Unlock()
	if s.closed {
		return s.opError("close", net.ErrClosed)
	}
	s.closed = true
	s.readLimit.stop()
	s.writeLimit.stop()
	if s.abrupt {
		s.dropOut()
	}
	s.unwanted = s.unwanted || s.readErr == nil && s.link.ids != nil
	s.hear(net.ErrClosed)
	s.dropIn()
	s.writeErr = net.ErrClosed
	s.finish(true)
	s.closeAgain(s.link.closeDelay <= 0)
	return nil
}

// Everything below is called with link.mu held.

// finish has CLOSE sent after what waits, at once if due, else after the close delay.
func (s *Stream) finish(due bool) {
	s.writable.Broadcast()
	if s.gone {
		return
	}
	s.ending, s.due = true, s.due || due
	s.link.schedule(s.id)
	s.rearm()
}

// abort ends a stream other than in order.
func (s *Stream) abort(why error) {
	s.cut(why)
	switch {
	case s.gone:
	case s.connect != nil:
		s.vacate()
		s.link.ids.giveBack(s.id)
		s.link.freed.Broadcast()
	default:
		s.unwanted = s.link.ids != nil
		s.finish(true)
		s.closeAgain(s.link.closeDelay <= 0)
	}
}

// replace ends a stream whose id the peer uses anew; no CLOSE is sent for it.
func (s *Stream) replace() {
	s.cut(ErrReplaced)
	s.vacate()
}

// cut ends both directions with an error and drops what is on its way.
func (s *Stream) cut(why error) {
	s.dropIn()
	s.dropOut()
	s.readErr = nil
	s.hear(why)
	s.writeErr = why
	s.writable.Broadcast()
	s.breakOff(why)
}

// lose ends a stream with its link. What has come whole is still read in order.
func (s *Stream) lose(why error) {
	s.dropOut()
	s.hear(why)
	if s.writeErr == nil {
		s.writeErr = why
	}
	s.writable.Broadcast()
	s.vacate()
	s.breakOff(why)
}

// breakOff tells those who serve the stream that it ended other than in order.
func (s *Stream) breakOff(why error) {
	if s.cause == nil {
		s.cause = why
	}
	if s.broken != nil {
		s.broken()
	}
}

// ignore has everything dropped that the peer has sent and still sends.
func (s *Stream) ignore() {
	s.link.mu.Lock()
	defer s.link.mu.Unlock()
	s.hear(net.ErrClosed)
	s.dropIn()
}

// brokenBy returns why the stream ended other than in order, nil if it did not.
func (s *Stream) brokenBy() error {
	s.link.mu.Lock()
	defer s.link.mu.Unlock()
	return s.cause
}

// hear makes the stream deaf. Reading ends with err, unless it had ended before.
func (s *Stream) hear(err error) {
	s.deaf = true
	if s.readErr == nil {
		s.readErr = err
	}
	s.readable.Broadcast()
	if s.link.waiting {
		s.link.room.Signal()
	}
}

func (s *Stream) dropIn() { s.took(s.in.clear()) }

func (s *Stream) dropOut() {
	for _, p := range s.out {
		parcels.Put(p)
	}
	s.out = nil
}

// heard notes that a frame of the stream has come.
func (s *Stream) heard() {
	if s.sentAt != 0 {
		s.link.ids.proved(s.sentAt)
		s.link.freed.Broadcast()
		s.sentAt = 0
	}
	if s.timer != nil {
		s.active = time.Now()
	}
}

func (s *Stream) receiveClose() {
	switch {
	case s.peerClosed && s.link.ids == nil:
		s.stopSending()
		return
	case s.peerClosed:
		s.link.stats.Strays++
		return
	}
	s.peerClosed = true
	if s.link.ids != nil && s.received == 0 && !s.ending {
		s.hear(ErrRefused)
	}
	s.hear(io.EOF)
	switch {
	case s.closeSent:
		s.leave()
	case s.link.keepsSending:
		s.rearm()
	default:
		s.dropOut()
		if s.writeErr == nil {
			s.writeErr = ErrPeerClosed
		}
		s.finish(true)
	}
}

// knownToPeer reports whether the peer can have sent a frame for this stream.
func (s *Stream) knownToPeer() bool { return s.connect == nil }

// over reports whether both CLOSEs have passed, though the writer may not have come back from our own: the peer may have it.
func (s *Stream) over() bool { return s.peerClosed && s.closeTaken }

// hasFrames reports whether the writer would find one.
func (s *Stream) hasFrames() bool {
	return s.connect != nil || len(s.out) > 0 || s.ending && s.due && !s.closeTaken || s.again == due
}

// again is whether CLOSE is sent a second time, by which a device that half-closes learns that it can stop the service. One
// that does not has stopped at the first.
type again uint8

const (
	never again = iota
	due         // waits for its turn
	taken       // by the writer
)

// dropped notes that the device sends what may be unwanted.
func (s *Stream) dropped() { s.closeAgain(true) }

// closeAgain has the second CLOSE sent, if the first one is on its way, and there is reason.
func (s *Stream) closeAgain(reason bool) {
	if reason && s.unwanted && s.closeTaken && !s.peerClosed && s.again == never {
		s.again = due
		s.link.schedule(s.id)
	}
}

// stopSending ends the service, on the device: the server has said again that it wants nothing. What has come for the service
// has a second to be delivered.
func (s *Stream) stopSending() {
	s.dropOut()
	if s.writeErr == nil {
		s.writeErr = ErrUnwanted
	}
	s.finish(true)
	s.breakOff(ErrUnwanted)
}

// take gives the writer the next frame: CONNECT, then DATA, then CLOSE.
func (s *Stream) take(buf []byte) (f outgoing, ok bool) {
	switch {
	case s.connect != nil:
		f.bytes, s.connect = s.connect, nil
		s.sentAt = s.link.ids.mark()
		s.link.freed.Broadcast() // Open waits for that
	case len(s.out) > 0:
		f.parcel = s.out[0]
		s.out = append(s.out[:0], s.out[1:]...)
		appendHeader(f.parcel.buf[:0], f.parcel.n, Data, s.id)
		f.bytes = f.parcel.buf[:HeaderSize+f.parcel.n]
		s.rearm()
		s.writable.Broadcast()
	case s.ending && s.due && !s.closeTaken:
		s.closeTaken = true
		f.bytes, f.closes = appendHeader(buf, 0, Close, s.id), s
	case s.again == due:
		s.again = taken
		f.bytes = appendHeader(buf, 0, Close, s.id)
	default:
		return outgoing{}, false
	}
	return f, true
}

func (s *Stream) wroteClose() {
	s.closeSent = true
	s.closeAgain(s.link.closeDelay <= 0) // the device half-closes: one CLOSE alone would leave its service open
	switch {
	case s.gone:
	case s.peerClosed:
		s.leave()
	default:
		s.rearm()
	}
}

// leave gives the id back after both CLOSEs.
func (s *Stream) leave() {
	s.vacate()
	if s.link.ids != nil {
		s.link.ids.free(s.id, time.Now())
		s.link.freed.Broadcast()
	}
}

// vacate takes the stream out of its slot. What it has received can still be read.
func (s *Stream) vacate() {
	if s.gone {
		return
	}
	s.gone = true
	s.link.slots[s.id].stream = nil
	if s.timer != nil {
		s.timer.Stop()
	}
	if s.in.size > 0 {
		s.link.leftover[s] = struct{}{}
	}
	s.rearm()
}
