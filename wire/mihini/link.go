package mihini

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// A link is what both roles have in common: one connection, a slot for each id, one goroutine that reads frames and one
// that writes them. The reader never waits for the writer.
type link struct {
	conn net.Conn
	o    Options
	life context.Context // ends with the link
	stop context.CancelFunc

	// What the roles do differently.
	closeDelay   time.Duration            // how long the peer must be quiet before CLOSE passes on a half-close
	keepsSending bool                     // our direction outlives the peer's CLOSE
	leaveTime    time.Duration            // told to stop, it ends its direction first, and awaits the peer's end so long; 0: it does not
	connect      func(id uint8, t Target) // acts on CONNECT, without mu; nil on the server
	early        *early                   // DATA that came before its CONNECT; nil on the server and where it is not kept

	mu       sync.Mutex // guards all below, and the streams
	ids      *allocator // nil on the device
	freed    sync.Cond  // for those who wait for an id
	used     [MaxStreams]bool
	slots    [MaxStreams]slot
	ready    ring                 // ids with something to send
	work     sync.Cond            // for the writer: ready is not empty, or the link has ended
	queued   int                  // bytes in the queues of all streams
	leftover map[*Stream]struct{} // streams without a slot whose queue is not empty
	room     sync.Cond            // for the reader: a queue has become shorter, or the link has ended
	waiting  bool                 // the reader waits for room
	judged   time.Time            // when the streams that are not waited for were judged last
	strikes  strikes
	seen     uint64 // frames received
	stats    Stats
	err      error // why the link has ended; nil while it runs
}

// A slot is what a link knows of an id.
type slot struct {
	stream *Stream // nil if none is open
	queued bool    // the id is in link.ready
	owe    bool    // CLOSE is to be sent before anything of the stream
	probe  bool    // a probe is to be sent before anything of the stream
}

func (l *link) init(conn net.Conn, o Options) {
	l.conn, l.o = conn, o.withDefaults()
	l.life, l.stop = context.WithCancel(context.Background())
	l.freed.L, l.work.L, l.room.L = &l.mu, &l.mu, &l.mu
	l.leftover = make(map[*Stream]struct{})
}

// run serves the link until it ends, closes its connection and returns why.
func (l *link) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { l.leave(context.Cause(ctx)) })
	defer stop()
	defer l.watch()()
	var writing sync.WaitGroup
	writing.Go(func() {
		l.writeFrames()
		l.hangUp()
	})
	l.end(l.readFrames())
	writing.Wait()
	_ = l.conn.Close()
	return l.err
}

// leave ends the link because this side is told to stop. Where the role wants that, the connection is closed only after the
// peer's end: closed with unread bytes, TCP resets it, and for the peer the link would have broken.
func (l *link) leave(why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.err != nil:
	case l.leaveTime > 0 && l.conn.SetDeadline(time.Now().Add(l.leaveTime)) == nil:
		l.lose(why)
	default:
		l.fail(why)
	}
}

// hangUp ends our direction, or the connection where that has no directions. It fails where the connection is closed already.
func (l *link) hangUp() {
	if half, ok := l.conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	} else {
		_ = l.conn.Close()
	}
}

// end ends the link and every stream of it. The first reason stays.
func (l *link) end(why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail(why)
}

// fail is end for those who hold mu.
func (l *link) fail(why error) {
	if l.err != nil {
		return
	}
	_ = l.conn.Close()
	l.lose(why)
}

// lose ends the link but for its connection.
func (l *link) lose(why error) {
	l.err = why
	l.stop()
	if why == io.EOF {
		why = io.ErrUnexpectedEOF // no stream has ended in order
	}
	lost := fmt.Errorf("%w: %w", ErrLinkLost, why)
	for i := range l.slots {
		if s := l.slots[i].stream; s != nil {
			s.lose(lost)
		}
	}
	l.freed.Broadcast()
	l.work.Broadcast()
	l.room.Broadcast()
}

// strike notes a protocol error. It returns ErrProtocol if that was one too many. The caller does not hold mu.
func (l *link) strike(err error) error {
	l.mu.Lock()
	l.stats.ProtocolErrors++
	n := l.strikes.add(time.Now())
	l.mu.Unlock()
	if l.o.ProtocolError != nil {
		l.o.ProtocolError(err)
	}
	if n >= l.o.MaxErrors {
		return fmt.Errorf("%w: %d in a minute, the last: %w", ErrProtocol, n, err)
	}
	return nil
}

// strikes count the protocol errors of a minute.
type strikes struct {
	n     int
	since time.Time
}

func (s *strikes) add(now time.Time) int {
	if now.Sub(s.since) > time.Minute {
		s.n, s.since = 0, now
	}
	s.n++
	return s.n
}
