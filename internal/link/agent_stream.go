package link

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"jackfield"
	"jackfield/internal/link/chunks"
	"jackfield/internal/link/control"
	"jackfield/internal/tlsstream"
)

// A delivery is what somebody gets who waits for a data connection.
type delivery struct {
	conn *dataConn
	err  error
}

// errStale is the end of a connection that was kept ready, and whose agent has not answered on it.
var errStale = errors.New("the connection that was kept ready has broken")

// open opens a stream: on a connection that is ready, or on a new one.
func (l *AgentLink) open(ctx context.Context, ask control.Open) (jackfield.Stream, error) {
	for {
		conn, fresh, err := l.connection(ctx, &ask)
		if err != nil {
			return nil, err
		}
		stream, err := l.begin(ctx, conn, &ask)
		if !errors.Is(err, errStale) || fresh || ctx.Err() != nil {
			return stream, err
		}
	}
}

// connection returns a data connection, and whether it is a new one.
func (l *AgentLink) connection(ctx context.Context, ask *control.Open) (conn *dataConn, fresh bool, err error) {
	l.mu.Lock()
	if err := l.unable(); err != nil {
		l.mu.Unlock()
		return nil, false, err
	}
	l.stream++
	ask.Stream = l.stream
	conn, stale := l.pool.take()
	var wait chan delivery
	if conn == nil {
		wait = make(chan delivery, 1)
		l.waiting[ask.Stream] = wait
	}
	more := l.pool.missing()
	l.mu.Unlock()
	closeAll(stale)
	if conn == nil {
		l.fetch(ask.Stream)
	}
	for range more {
		l.fetch(0)
	}
	if conn != nil {
		return conn, false, nil
	}
	conn, err = l.await(ctx, ask.Stream, wait)
	return conn, true, err
}

// unable says why no stream can be opened. It is called with mu held.
func (l *AgentLink) unable() error {
	switch {
	case l.waiting == nil:
		return ErrNotConnected
	case l.NoStreams:
		return errors.New("its link is for control only")
	case l.draining != "":
		return ErrAgentDraining
	}
	return nil
}

// await waits for the connection that a stream has been promised.
func (l *AgentLink) await(ctx context.Context, stream int64, wait <-chan delivery) (*dataConn, error) {
	select {
	case d := <-wait:
		return d.conn, d.err
	case <-ctx.Done():
	}
	l.mu.Lock()
	_, promised := l.waiting[stream]
	delete(l.waiting, stream)
	l.mu.Unlock()
	switch {
	case !promised: // somebody else has it, and keeps the promise
		if d := <-wait; d.conn != nil {
			d.conn.finish()
		}
	case l.Dial == nil:
		l.send(&control.Close{Stream: stream, Reason: "not wanted any more"})
	}
	return nil, context.Cause(ctx)
}

// begin asks for the stream on its connection.
func (l *AgentLink) begin(ctx context.Context, conn *dataConn, ask *control.Open) (_ jackfield.Stream, err error) {
	conn.stream = ask.Stream
	giveUp := conn.finish
	defer func() {
		if err != nil {
			giveUp()
		}
	}()
	if deadline, limited := ctx.Deadline(); limited {
		ask.Within = time.Until(deadline)
	}
	ctx, release := context.WithCancel(ctx)
	defer release()
	defer context.AfterFunc(l.ctx, release)()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := conn.Send(ask); err != nil {
		return nil, l.failed(ctx, errStale)
	}
	m, err := conn.Receive()
	if err != nil {
		if errors.Is(err, io.EOF) || isReset(err) {
			err = errStale
		}
		return nil, l.failed(ctx, err)
	}
	result, ok := m.(*control.OpenResult)
	if !ok || result.Stream != ask.Stream {
		return nil, errors.New("the agent answered something else")
	}
	if result.Kind != "" {
		if stop() && carriesMany(conn) {
			giveUp = conn.release
		}
		return nil, refusalOf(result)
	}
	if !stop() {
		return nil, l.failed(ctx, ctx.Err())
	}
	return l.newStream(conn)
}

// failed tells the end of the link, and of the wait, from other errors.
func (l *AgentLink) failed(ctx context.Context, err error) error {
	switch {
	case l.ctx.Err() != nil:
		return context.Cause(l.ctx)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return err
}

// refusalOf is a refusal in the agent's words.
func refusalOf(r *control.OpenResult) error {
	kinds := []jackfield.Kind{jackfield.Denied, jackfield.NotFound, jackfield.Limited, jackfield.Unavailable, jackfield.Invalid}
	kind := r.Kind
	if !slices.Contains(kinds, kind) {
		kind = jackfield.Internal
	}
	return jackfield.Refuse(kind, cmp.Or(clean(r.Sentence), "the agent refuses, and does not say why"), errors.New("the agent says so"))
}

// clean makes what an agent says fit for a log and a person.
func clean(s string) string {
	const enough = 200
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, s)
	if len(s) > enough {
		s = strings.ToValidUTF8(s[:enough], "") + "…"
	}
	return s
}

// An agentStream is a stream through an agent.
type agentStream struct {
	jackfield.Stream
	link *AgentLink
	conn *dataConn
	once sync.Once
}

var _ jackfield.Linked = (*agentStream)(nil)

func (l *AgentLink) newStream(conn *dataConn) (jackfield.Stream, error) {
	raw, err := conn.Raw()
	if err != nil {
		return nil, err
	}
	bare, err := streamOf(raw)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.streams++
	l.opened++
	l.mu.Unlock()
	return &agentStream{Stream: bare, link: l, conn: conn}, nil
}

// streamOf returns the exact stream of a connection of ours: with TLS, one of several that it may carry.
func streamOf(conn net.Conn) (jackfield.Stream, error) {
	switch conn := conn.(type) {
	case *tls.Conn:
		return chunks.New(tlsstream.Of(conn)), nil
	case jackfield.Stream:
		return conn, nil
	}
	return nil, fmt.Errorf("a %T cannot carry a stream", conn)
}

// Bare implements jackfield.Linked.
func (s *agentStream) Bare() jackfield.Stream { return s.Stream }

// NetConn is what the stream wraps.
func (s *agentStream) NetConn() net.Conn { return s.Stream }

// Link implements jackfield.Linked.
func (s *agentStream) Link() context.Context { return s.link.ctx }

// Close implements net.Conn.
func (s *agentStream) Close() error {
	s.once.Do(func() {
		s.Stream.Close()
		s.link.mu.Lock()
		s.link.streams--
		last := s.link.streams == 0
		s.link.mu.Unlock()
		if chunked, ok := s.Stream.(*chunks.Stream); ok && chunked.Whole() {
			s.conn.release()
		} else {
			s.conn.finish()
		}
		if last {
			select {
			case s.link.idle <- struct{}{}:
			default:
			}
		}
	})
	return nil
}
