package command

import (
	"context"
	"net"
	"sync"

	"golang.org/x/sys/unix"

	"jackfield"
)

// Open starts the program behind a socketpair, up to the point where it waits to go on, and returns a jackfield.Program. It
// goes on, and may speak, from the first call of Bare, Read or Write. A program that waits is ended when ctx, which is that of
// the session, is cancelled; one that runs, when the stream is then closed: if it ended before the client is reset, a cut
// answer would look complete.
func (r *Route) Open(ctx context.Context, req *jackfield.Request) (jackfield.Stream, error) {
	near, far, err := socketPair(unix.SOCK_STREAM)
	if err != nil {
		return nil, cannotStart(err)
	}
	conn, err := unixConn(near)
	if err != nil {
		unix.Close(far)
		return nil, cannotStart(err)
	}
	p, err := r.start(ctx, req, far)
	if err != nil {
		conn.Close()
		unix.Close(far)
		return nil, err
	}
	s := &relayed{Stream: conn, conn: conn, far: far, program: p, cancelled: ctx.Err, done: make(chan struct{})}
	s.release = onCancel(ctx, p.terminate)
	return s, nil
}

var _ jackfield.Program = (*relayed)(nil)

// relayed is a program behind a socketpair.
//
// The server keeps the program's end, too, until the leader has exited: the kernel would turn the end of a program that
// did not read everything into a reset, although its answer is complete.
type relayed struct {
	jackfield.Stream // conn, for the methods that need no change
	conn             *net.UnixConn
	far              int // the program's end
	program          *program
	cancelled        func() error // of the session's context
	release          func()       // ends the watch over it

	mu      sync.Mutex // guards running and closed
	running bool
	closed  bool

	done    chan struct{} // closed when the program has ended
	details string        // valid then
}

// Bare lets the program go on, unless the session was cancelled, and returns the *net.UnixConn.
func (s *relayed) Bare() jackfield.Stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running && !s.closed && s.cancelled() == nil {
		s.running = true
		s.release()
		go s.run()
	}
	return s.conn
}

// Read lets the program go on and reads what it says.
func (s *relayed) Read(b []byte) (int, error) { return s.Bare().Read(b) }

// Write lets the program go on and writes to it.
func (s *relayed) Write(b []byte) (int, error) { return s.Bare().Write(b) }

// run waits for the leader to exit. What it wrote can still be read from the stream, then comes the end, even where
// descendants hold the other end.
func (s *relayed) run() {
	defer close(s.done)
	failure := s.program.letGo()
	s.details = s.program.wait()
	if failure != nil {
		s.details = failure.Error()
	}
	_ = s.conn.CloseRead()
	_ = s.conn.CloseWrite()
	s.closeFar()
	s.program.end()
}

// closeFar closes the program's end as a reader that has read everything: nothing more can be written to it.
func (s *relayed) closeFar() {
	buffer := make([]byte, 16<<10)
	for {
		n, _, err := unix.Recvfrom(s.far, buffer, unix.MSG_DONTWAIT)
		if n <= 0 && err != unix.EINTR {
			break
		}
	}
	unix.Close(s.far)
}

// Close closes the stream. The program is then given the time to end by itself that Wait gives it, unless the session was
// cancelled; Close does not wait.
func (s *relayed) Close() error {
	err := s.conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
	case s.running && s.cancelled() != nil:
		s.program.terminate()
	case s.running:
		s.program.terminateLater()
	default:
		s.details = neverRan
		s.program.abandon()
		unix.Close(s.far)
		s.release()
		close(s.done)
	}
	s.closed = true
	return err
}

// Wait closes the stream and returns when the program has ended.
func (s *relayed) Wait() (details string) {
	s.Close()
	<-s.done
	return s.details
}
