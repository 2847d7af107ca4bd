package link

import (
	"context"
	"crypto/tls"
	"time"

	"jackfield/internal/link/control"
)

// readyTimeout is how long an agent may take, after the end of a stream, until it is done with what the server has sent on it.
const readyTimeout = 10 * time.Second

// carriesMany says whether a data connection carries one stream after another.
func carriesMany(conn *dataConn) bool {
	raw, err := conn.Raw()
	_, encrypted := raw.(*tls.Conn)
	return err == nil && encrypted
}

// release is the end of a stream after which its connection may carry another one.
func (d *dataConn) release() { d.free <- struct{}{} }

// serve gives a data connection to the stream that waits for it, or keeps it ready, and again after each stream. It closes the
// connection.
func (l *AgentLink) serve(stream int64, conn *dataConn) {
	defer conn.finish()
	for kept := l.deliver(stream, conn); kept; kept = l.ready(conn) && l.keep(conn) {
		select {
		case <-conn.done:
			return
		case <-conn.free:
			continue
		case <-l.ctx.Done():
		}
		if !conn.inUse.Load() {
			return
		}
		select { // the session ends by the link's context
		case <-conn.done:
		case <-conn.free:
		}
		return
	}
}

// ready waits until the agent is done with the last stream.
func (l *AgentLink) ready(conn *dataConn) bool {
	conn.inUse.Store(false)
	conn.SetDeadline(time.Now().Add(readyTimeout))
	stop := context.AfterFunc(l.ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	m, err := conn.Receive()
	if !stop() || err != nil {
		return false
	}
	done, ok := m.(*control.Ready)
	return ok && done.Stream == conn.stream && conn.SetDeadline(time.Time{}) == nil
}

// keep keeps a connection for the next stream, if there are not enough.
func (l *AgentLink) keep(conn *dataConn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting != nil && l.pool.add(conn)
}
