package backend

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
)

// maxOutcomes bounds what is kept for a client that never asks.
const maxOutcomes = 4096

// Serve serves connections until the listener is closed, then returns nil, or until it fails. It does not wait for
// connections that are still open: their process is about to end.
func Serve(l net.Listener) error {
	s := &server{outcomes: make(map[uint64]Outcome)}
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		go s.serve(c.(*net.TCPConn))
	}
}

type server struct {
	active    atomic.Int64
	discarded atomic.Uint64 // bytes

	mu       sync.Mutex
	outcomes map[uint64]Outcome
}

func (s *server) serve(c *net.TCPConn) {
	defer c.Close()
	s.active.Add(1)
	defer s.active.Add(-1)

	var h [9]byte
	if _, err := io.ReadFull(c, h[:1]); err != nil {
		return
	}
	if h[0] == opEcho {
		echo(c)
		return
	}
	if _, err := io.ReadFull(c, h[1:]); err != nil {
		return
	}
	s.do(c, h[0], binary.BigEndian.Uint64(h[1:]))
}

// do ignores write errors: what the client misses, the client reports.
func (s *server) do(c *net.TCPConn, op byte, number uint64) {
	switch op {
	case opSend:
		_ = WritePattern(c, number)
	case opReceive:
		sum, _ := hex.DecodeString(receive(c).Sum)
		_, _ = c.Write(sum)
	case opDiscard:
		s.discard(c)
	case opDiscarded:
		_, _ = c.Write(binary.BigEndian.AppendUint64(nil, s.discarded.Load()))
	case opFinish:
		_, _ = io.WriteString(c, Greeting)
		_ = c.CloseWrite()
		s.keep(number, receive(c))
	case opWatch:
		_, _ = c.Write([]byte{op})
		s.keep(number, receive(c))
	case opReset:
		_, _ = c.Write([]byte{op})
		_, _ = io.ReadFull(c, make([]byte, 1))
		_ = c.SetLinger(0)
	case opOutcome:
		if o, ok := s.take(number); ok {
			_ = json.NewEncoder(c).Encode(o)
		}
	case opActive:
		_, _ = c.Write(binary.BigEndian.AppendUint64(nil, uint64(s.active.Load()-1)))
	}
}

func echo(c net.Conn) {
	buffer := make([]byte, 4096)
	buffer[0] = opEcho
	for n := 1; ; {
		if _, err := c.Write(buffer[:n]); err != nil {
			return
		}
		var err error
		if n, err = c.Read(buffer); err != nil {
			return
		}
	}
}

func (s *server) discard(c net.Conn) {
	buffer := make([]byte, 256<<10)
	for {
		n, err := c.Read(buffer)
		s.discarded.Add(uint64(n))
		if err != nil {
			return
		}
	}
}

// receive reads to the end and tells which end it was.
func receive(c net.Conn) Outcome {
	h := sha256.New()
	n, err := io.Copy(h, c)
	o := Outcome{Bytes: n, Sum: hex.EncodeToString(h.Sum(nil)), End: EndInOrder}
	switch {
	case errors.Is(err, syscall.ECONNRESET):
		o.End = EndReset
	case err != nil:
		o.End = err.Error()
	}
	return o
}

func (s *server) keep(token uint64, o Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.outcomes) < maxOutcomes {
		s.outcomes[token] = o
	}
}

func (s *server) take(token uint64) (Outcome, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.outcomes[token]
	delete(s.outcomes, token)
	return o, ok
}
