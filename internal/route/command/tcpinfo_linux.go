package command

import (
	"net"
	"sync"

	"golang.org/x/sys/unix"

	"jackfield"
)

// The states of a TCP connection that matter here (linux, include/net/tcp_states.h).
const (
	stateTimeWait  = 6
	stateClose     = 7
	stateCloseWait = 8
	stateLastAck   = 9
	stateClosing   = 11
)

// counters are what the kernel knows of a connection's bytes. What was written is what was sent, without repetitions, and
// what waits to be.
type counters struct {
	received int64 // from the client, whether it was read or not
	written  int64
	broken   bool // reset or timed out
}

// readCounters reads the counters of a socket. They are zero if it was closed.
func readCounters(conn *net.TCPConn) (c counters) {
	control(conn, func(fd int) {
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return
		}
		c.received = int64(info.Bytes_received) - fin(info)
		c.written = int64(info.Bytes_sent) - int64(info.Bytes_retrans) + int64(info.Notsent_bytes)
		c.broken = info.State == stateClose && !closedInOrder(info)
	})
	return c
}

// unread returns how many received bytes nobody has read yet.
func unread(conn *net.TCPConn) (n int) {
	control(conn, func(fd int) { n, _ = unix.IoctlGetInt(fd, unix.SIOCINQ) })
	return n
}

// control runs f with the socket's descriptor, unless it was closed.
func control(conn *net.TCPConn, f func(fd int)) {
	if raw, err := conn.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { f(int(fd)) })
	}
}

// fin is 1 if the client's FIN is among the received bytes, where it counts as one (RFC 9293, section 3.4). A connection
// that broke after a FIN does not show it: then one byte too many is counted.
func fin(info *unix.TCPInfo) int64 {
	switch info.State {
	case stateCloseWait, stateLastAck, stateClosing, stateTimeWait:
		return 1
	case stateClose:
		if closedInOrder(info) {
			return 1
		}
	}
	return 0
}

// closedInOrder tells, of a connection that is no more, whether our own FIN had been acknowledged: it is among the
// acknowledged bytes and not among the sent ones.
func closedInOrder(info *unix.TCPInfo) bool {
	return info.Bytes_acked > info.Bytes_sent-info.Bytes_retrans
}

// A tally counts the bytes of a session that is on a client's own socket. It is safe for concurrent use.
type tally struct {
	conn *net.TCPConn

	mu     sync.Mutex // guards all below
	begun  bool
	before counters  // what was read and written before the session
	final  *counters // set by end
}

// begin leaves out what was read and written so far, but nothing that waits to be read.
func (t *tally) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.begun = true
	for range 4 { // until nothing arrives between the questions
		c, waiting := readCounters(t.conn), unread(t.conn)
		t.before = readCounters(t.conn)
		t.before.received -= int64(waiting)
		if c.received == t.before.received+int64(waiting) {
			return
		}
	}
}

// end keeps the counters as they are now, before the server itself changes the connection. Only the first call does.
func (t *tally) end() counters {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.final == nil {
		c := readCounters(t.conn)
		t.final = &c
	}
	return *t.final
}

func (t *tally) transfer() jackfield.Transfer {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.begun {
		return jackfield.Transfer{}
	}
	now := t.final
	if now == nil {
		c := readCounters(t.conn)
		now = &c
	}
	return jackfield.Transfer{
		FromClient:  max(now.received-t.before.received, 0),
		FromService: max(now.written-t.before.written, 0),
	}
}
