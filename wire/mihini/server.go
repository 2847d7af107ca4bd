package mihini

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"
)

// A Server is the public end of a link: it opens streams through the device.
type Server struct{ link }

// Accept waits for the LISTEN of the device that has dialled in; until then it reads no byte beyond. After an error
// conn is good for Close only. The error is ErrNoListen, wrapping what else is known, or the cause of ctx.
func Accept(ctx context.Context, conn net.Conn, o ServerOptions) (*Server, error) {
	if err := awaitListen(ctx, conn, o); err != nil {
		return nil, err
	}
	s := &Server{}
	s.init(conn, o.Options)
	s.closeDelay = max(cmp.Or(o.CloseDelay, DefaultCloseDelay), 0)
	s.ids = newAllocator()
	return s, nil
}

func awaitListen(ctx context.Context, conn net.Conn, o ServerOptions) error {
	if err := conn.SetReadDeadline(time.Now().Add(cmp.Or(o.ListenTimeout, DefaultListenTimeout))); err != nil {
		return fmt.Errorf("%w: %w", ErrNoListen, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	err := readListen(conn, o.ExactListen)
	if !stop() {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoListen, err)
	}
	return conn.SetReadDeadline(time.Time{})
}

func readListen(r io.Reader, exact bool) error {
	var header [HeaderSize]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return err
	}
	f, size := parse(header[:]), int64(binary.BigEndian.Uint16(header[:]))
	switch {
	case f.Command != Listen:
		return fmt.Errorf("%w: it began with %v", ErrMalformed, f.Command)
	case exact && (f.ID != 0 || size != 0):
		return fmt.Errorf("%w LISTEN: id %d, %d bytes", ErrMalformed, f.ID, size)
	}
	_, err := io.CopyN(io.Discard, r, size)
	return err
}

// Run serves the link until it ends, closes its connection, and returns why it ended, never nil; when ctx ends, its
// cause. It is called once.
func (s *Server) Run(ctx context.Context) error { return s.run(ctx) }

// Open asks the device to connect to a service, and returns when CONNECT is on its way. Whether the device succeeds is
// not said by the protocol: if it does not, the stream ends at once, and Read returns ErrRefused.
//
// The error is ErrBusy at once if all ids are in use; ErrLinkLost; ErrHost (an address longer than MaxHost); or the
// cause of ctx, if the link does not take CONNECT in time or no id is certain to be free of late frames, which takes a
// second at most.
func (s *Server) Open(ctx context.Context, t Target) (*Stream, error) {
	if len(t.Address) > MaxHost {
		return nil, fmt.Errorf("%w: it has %d bytes, %d are allowed", ErrHost, len(t.Address), MaxHost)
	}
	stop := context.AfterFunc(ctx, s.wakeOpeners)
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	id, err := s.awaitID(ctx)
	if err != nil {
		return nil, err
	}
	stream := newStream(&s.link, id, t)
	stream.connect, _ = AppendConnect(nil, id, t) // fits
	s.slots[id].stream = stream
	s.stats.Opened++
	s.schedule(id)
	for stream.connect != nil && stream.writeErr == nil && ctx.Err() == nil {
		s.freed.Wait()
	}
	switch {
	case stream.connect == nil: // though it may have ended since
		return stream, nil
	case stream.writeErr != nil:
		return nil, stream.writeErr
	}
	stream.abort(context.Cause(ctx))
	return nil, context.Cause(ctx)
}

func newStream(l *link, id uint8, t Target) *Stream {
	s := &Stream{link: l, id: id, target: t, opened: time.Now()}
	s.readable = sync.Cond{L: &l.mu}
	s.writable = sync.Cond{L: &l.mu}
	return s
}

func (s *Server) wakeOpeners() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.freed.Broadcast()
}

// awaitID takes an id. It waits only for ids that nobody uses: free but not known to be quiet, or closed by the device with
// our CLOSE waiting for its turn.
func (s *Server) awaitID(ctx context.Context) (uint8, error) {
	for {
		now := time.Now()
		id, ok := s.ids.take(now)
		if s.ids.wanted() {
			s.sendProbe()
		}
		wait, rests := s.ids.rests(now)
		if !rests {
			wait, rests = restTime, s.isFreeing()
		}
		switch {
		case s.err != nil:
			return 0, fmt.Errorf("%w: %w", ErrLinkLost, s.err)
		case ctx.Err() != nil:
			return 0, context.Cause(ctx)
		case ok:
			return id, nil
		case !rests:
			s.stats.Busy++
			return 0, ErrBusy
		}
		timer := time.AfterFunc(wait, s.wakeOpeners)
		s.freed.Wait()
		timer.Stop()
	}
}

// isFreeing reports whether an id is free as soon as the link has taken our CLOSE.
func (s *Server) isFreeing() bool {
	return slices.ContainsFunc(s.slots[:], func(sl slot) bool { return sl.stream != nil && sl.stream.peerClosed })
}

// checkExhausted ends a link on which no stream can ever be opened again. The caller holds mu.
func (l *link) checkExhausted() {
	for i := range l.slots {
		if s := l.slots[i].stream; s == nil || !s.forsaken {
			return
		}
	}
	l.fail(ErrExhausted)
}

// Stats returns the link's state and counters.
func (s *Server) Stats() Stats { return s.snapshot() }

// Streams lists the streams that hold an id, by id.
func (s *Server) Streams() []StreamInfo { return s.list() }
