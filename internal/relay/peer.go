package relay

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"jackfield"
)

// A peer is one side of a session.
type peer struct {
	stream jackfield.Stream
	name   string          // "client" or "service"
	broken string          // the End's cause when its connection broke
	socket syscall.RawConn // the socket that carries the stream; nil if there is none
	bare   bool            // the stream is that socket and nothing besides
	local  bool            // it is a Unix socket

	program bool // the other end is a program, which takes no more because it has exited

	leaving   sync.Once   // guards the start of what leads to lingering
	lingering atomic.Bool // it has a little time to end its direction, for nobody reads any more what it sends

	ended bool // nothing more is read from it; guarded by session.mu

	armed    time.Time             // the write deadline; of the one goroutine that writes
	lookout  lookout               // while what it has sent is written; of the same goroutine
	ending   atomic.Bool           // the writing ends in order: what comes of that is known to closeWrite alone
	writing  sync.Mutex            // held until a write and what it leads to in rejected are done
	rejected atomic.Pointer[error] // what ended the writing; nil while it goes on
}

func newPeer(stream jackfield.Stream, name, broken string) *peer {
	p := &peer{stream: stream, name: name, broken: broken}
	p.socket, p.bare = socketOf(stream)
	_, p.local = stream.(*net.UnixConn)
	return p
}

// A resetWaiter is a stream without a socket of its own that can tell when it breaks. AwaitReset returns nil once the stream is
// closed.
type resetWaiter interface{ AwaitReset() error }

// Reset closes a stream so that the other end sees a reset, if the connection has such a thing.
func Reset(stream jackfield.Stream) { reset(stream) }

// lingerTime is how long a peer may take to end its direction when the other one is gone.
const lingerTime = time.Second

// linger gives the peer that time. Without it, a client that waits for nothing would keep its session.
func (p *peer) linger() {
	p.lingering.Store(true)
	_ = p.stream.SetReadDeadline(time.Now().Add(lingerTime))
}

// lingered tells the end of that time from other errors.
func (p *peer) lingered(err error) bool {
	return p.lingering.Load() && errors.Is(err, os.ErrDeadlineExceeded)
}

// write writes to the stream and remembers an error, unless only a deadline has passed.
func (p *peer) write(chunk []byte) (int, error) {
	p.writing.Lock()
	defer p.writing.Unlock()
	n, err := p.stream.Write(chunk)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		p.rejected.Store(&err)
	}
	return n, err
}

// closeWrite ends the stream's direction and remembers an error.
//
// Where the end is a message (close_notify, a record of TLS) TCP answers it with a reset if the peer has ended its own direction
// and closed its socket. That breaks nothing. A connection that broke before takes no message.
func (p *peer) closeWrite() error {
	p.ending.Store(true)
	err := p.stream.CloseWrite()
	if err != nil {
		p.rejected.Store(&err)
	}
	return err
}

// refusal returns why the stream takes no more bytes; nil if it does.
func (p *peer) refusal() error {
	if err := p.rejected.Load(); err != nil {
		return *err
	}
	return nil
}

// Broken reports whether the connection that carries a stream is known to have broken, without taking the error from the
// next read. It never waits.
func Broken(stream jackfield.Stream) bool { return newPeer(stream, "", "").hasError() }

// socketOf finds the socket that carries conn. Below a wrapper it is not bare: the wrapper may hold bytes.
func socketOf(conn net.Conn) (socket syscall.RawConn, bare bool) {
	var err error
	switch c := conn.(type) {
	case *net.TCPConn:
		socket, err = c.SyscallConn()
	case *net.UnixConn:
		socket, err = c.SyscallConn()
	case interface{ NetConn() net.Conn }: // such as *tls.Conn
		socket, _ = socketOf(c.NetConn())
		return socket, false
	case syscall.Conn: // such as a wrapper that embeds a socket
		socket, _ = c.SyscallConn()
		return socket, false
	}
	if err != nil {
		return nil, false // closed already, as the first read will tell
	}
	return socket, socket != nil
}

// reset closes conn so that its peer sees a reset, if the connection has such a thing. The socket goes first: closing a
// TLS stream may wait for room to write its close_notify.
func reset(conn net.Conn) {
	switch c := conn.(type) {
	case interface{ SetLinger(int) error }:
		_ = c.SetLinger(0)
	case interface{ NetConn() net.Conn }:
		reset(c.NetConn())
	}
	_ = conn.Close()
}
