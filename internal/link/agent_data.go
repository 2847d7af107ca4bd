package link

import (
	"context"
	"crypto/tls"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"jackfield/internal/link/control"
)

// readyTimeout is how long an agent may take, after the end of a stream, until it is done with what the server has sent on it.
const readyTimeout = 10 * time.Second

// A dataConn is a data connection. It carries a stream, or is ready for one.
type dataConn struct {
	*control.Conn
	stream int64     // the number of the one that it carries, or has carried
	over   chan bool // whether it may carry another stream: after each, and once more when it is done with
	once   sync.Once
}

func newDataConn(conn *control.Conn) *dataConn {
	return &dataConn{Conn: conn, over: make(chan bool, 2)}
}

// finish is the end of a connection.
func (d *dataConn) finish() {
	d.once.Do(func() {
		d.Close()
		d.over <- false
	})
}

// release is the end of a stream after which its connection may carry another one.
func (d *dataConn) release() { d.over <- true }

// carriesMany says whether a data connection carries one stream after another.
func carriesMany(conn *dataConn) bool {
	raw, err := conn.Raw()
	_, encrypted := raw.(*tls.Conn)
	return err == nil && encrypted
}

// fetch sees to it that a data connection comes, for a stream or to be kept ready.
func (l *AgentLink) fetch(stream int64) {
	if l.Dial != nil {
		go l.dial(stream)
		return
	}
	t := l.agents.issue(l, stream, func() { l.lost(stream) })
	l.send(&control.Attach{Ticket: t, Number: stream})
}

// dial connects to an inbound agent.
func (l *AgentLink) dial(stream int64) {
	ctx, cancel := context.WithTimeout(l.ctx, TicketTime)
	conn, err := l.Dial(ctx)
	if err == nil {
		err = l.attach(ctx, conn)
	}
	cancel()
	if err != nil {
		l.refused(stream, err)
		return
	}
	l.serve(stream, newDataConn(conn))
}

// attach makes a connection to an inbound agent one of the link's.
func (l *AgentLink) attach(ctx context.Context, conn *control.Conn) error {
	l.mu.Lock()
	l.data++
	number := l.data
	l.mu.Unlock()
	deadline, _ := ctx.Deadline()
	conn.SetDeadline(deadline)
	conn.Join(l.conn, number)
	if err := conn.Send(&control.Attach{Ticket: control.Ticket(l.Hello.Link), Number: number}); err != nil {
		conn.Close()
		return err
	}
	return conn.SetDeadline(time.Time{})
}

// serve gives a data connection to the stream that waits for it, or keeps it ready, and again after each stream. It closes the
// connection.
func (l *AgentLink) serve(stream int64, conn *dataConn) {
	for kept := l.deliver(stream, conn); kept && <-conn.over; {
		kept = l.ready(conn) && l.hand(0, conn)
	}
	conn.finish()
}

// deliver is hand for a connection that has come. Stream is what it was asked for; 0: to be kept ready.
func (l *AgentLink) deliver(stream int64, conn *dataConn) bool {
	if stream == 0 {
		l.mu.Lock()
		l.pool.arrived()
		l.mu.Unlock()
	}
	return l.hand(stream, conn)
}

// hand gives a connection to the stream for which it is, else to the one that waits for longest, else it keeps it ready. It reports
// false if there are enough.
func (l *AgentLink) hand(stream int64, conn *dataConn) bool {
	l.mu.Lock()
	wait := l.waiting[stream]
	if wait == nil && len(l.waiting) > 0 {
		stream = slices.Min(slices.Collect(maps.Keys(l.waiting)))
		wait = l.waiting[stream]
	}
	delete(l.waiting, stream)
	kept := wait != nil || l.waiting != nil && l.pool.add(conn)
	l.mu.Unlock()
	if wait != nil {
		wait <- delivery{conn: conn}
	}
	return kept
}

// lost is the end of a wait for a connection that has not come.
func (l *AgentLink) lost(stream int64) {
	l.refused(stream, errors.New("it has not connected in time"))
}

// refused is the end of a wait for a connection that will not come.
func (l *AgentLink) refused(stream int64, why error) {
	l.mu.Lock()
	wait := l.waiting[stream]
	delete(l.waiting, stream)
	if stream == 0 {
		l.pool.arrived()
	}
	l.mu.Unlock()
	if wait != nil {
		wait <- delivery{err: why}
	}
}

// ready waits until the agent is done with the last stream. It reports false if it is not in time, or if too many are waited for.
func (l *AgentLink) ready(conn *dataConn) bool {
	if !l.rest() {
		return false
	}
	defer l.rested()
	conn.SetDeadline(time.Now().Add(readyTimeout))
	stop := context.AfterFunc(l.ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	m, err := conn.Receive()
	if !stop() || err != nil {
		return false
	}
	done, ok := m.(*control.Ready)
	return ok && done.Stream == conn.stream && conn.SetDeadline(time.Time{}) == nil
}

// rest counts the connections that have no stream any more, and are not ready yet.
func (l *AgentLink) rest() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.resting >= MaxReady {
		return false
	}
	l.resting++
	return true
}

func (l *AgentLink) rested() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.resting--
}
