package https

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"jackfield"
)

// A tunnelH2 is one stream of an HTTP/2 connection: the request's body is what the client sends, the answer's what it gets.
//
// net/http ends a stream when its handler returns and not before, so CloseWrite ends both directions: what has come from the
// client until then is still read. A stream that does not end in order is reset.
type tunnelH2 struct {
	w          http.ResponseWriter
	control    *http.ResponseController
	body       io.ReadCloser
	here       context.Context // ends when the client resets the stream or its connection is lost
	connection *connection

	finished atomic.Bool // by CloseWrite
	reset    atomic.Bool // it does not end in order
	closed   chan struct{}
	close    sync.Once
}

var (
	_ jackfield.Stream = (*tunnelH2)(nil)

	errStreamReset = errors.New("the HTTP/2 stream was reset, or its connection lost")
)

func newTunnelH2(w http.ResponseWriter, r *http.Request, c *connection) *tunnelH2 {
	return &tunnelH2{
		w: w, control: http.NewResponseController(w), body: r.Body, here: r.Context(), connection: c,
		closed: make(chan struct{}),
	}
}

func (t *tunnelH2) take() (jackfield.Stream, error) { return t, nil }

func (t *tunnelH2) accept(to destination) error {
	clear(t.w.Header())
	if to.picked {
		t.w.Header().Set(serviceField, string(to.name))
	}
	t.w.WriteHeader(http.StatusOK)
	return t.control.Flush()
}

func (t *tunnelH2) refuse(refusal *jackfield.Error) {
	t.control.SetWriteDeadline(time.Now().Add(tunnelAnswerTimeout))
	writeProblem(t.w, problemOf(refusal, t.w.Header()))
}

// end has net/http reset the stream unless it has ended in order.
func (t *tunnelH2) end() {
	if t.reset.Load() {
		panic(http.ErrAbortHandler)
	}
}

// Read implements net.Conn.
func (t *tunnelH2) Read(p []byte) (int, error) {
	n, err := t.body.Read(p)
	if err != nil && t.finished.Load() && errors.Is(err, os.ErrDeadlineExceeded) {
		err = io.EOF
	}
	return n, err
}

// Write implements net.Conn. It returns when net/http has sent everything.
func (t *tunnelH2) Write(p []byte) (int, error) {
	n, err := t.w.Write(p)
	if err == nil {
		err = t.control.Flush()
	}
	return n, err
}

// CloseWrite ends our direction, and with it the client's.
func (t *tunnelH2) CloseWrite() error {
	t.finished.Store(true)
	return t.control.SetReadDeadline(past)
}

// SetLinger has Close reset the stream.
func (t *tunnelH2) SetLinger(int) error {
	t.reset.Store(true)
	return nil
}

// Close ends reading and, if the stream is to be reset, writing.
func (t *tunnelH2) Close() error {
	t.close.Do(func() {
		close(t.closed)
		t.control.SetReadDeadline(past)
		if t.reset.Load() {
			t.control.SetWriteDeadline(past)
		}
	})
	return nil
}

var past = time.Unix(1, 0)

// Broken says whether the client has gone.
func (t *tunnelH2) Broken() bool { return t.here.Err() != nil }

// AwaitReset waits until the client has gone, and says how, or the stream is closed.
func (t *tunnelH2) AwaitReset() error {
	select {
	case <-t.closed:
		return nil
	case <-t.here.Done():
		return errStreamReset
	}
}

// SetDeadline implements net.Conn: the deadline of a session is its context's.
func (*tunnelH2) SetDeadline(time.Time) error { return os.ErrNoDeadline }

// SetReadDeadline implements net.Conn.
func (t *tunnelH2) SetReadDeadline(when time.Time) error { return t.control.SetReadDeadline(when) }

// SetWriteDeadline implements net.Conn.
func (*tunnelH2) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

// LocalAddr implements net.Conn.
func (t *tunnelH2) LocalAddr() net.Addr { return t.connection.client.Conn.LocalAddr() }

// RemoteAddr implements net.Conn.
func (t *tunnelH2) RemoteAddr() net.Addr { return t.connection.client.Conn.RemoteAddr() }
