package command

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"jackfield"
)

// What is read, and for how long, from a client whose session is over. Unread bytes would turn the close into a reset,
// which can destroy the answer on its way.
const (
	lingerBytes = 1 << 20
	lingerTime  = time.Second
)

// TakeSocket starts the program on the client's own socket, up to the point where it waits to go on.
func (r *Route) TakeSocket(ctx context.Context, req *jackfield.Request, client *net.TCPConn) (jackfield.Taken, error) {
	var p *program
	var err error
	control(client, func(fd int) { p, err = r.start(ctx, req, fd) })
	if err != nil {
		return nil, err
	}
	if p == nil {
		return nil, cannotStart(net.ErrClosed)
	}
	return &taken{program: p, client: client, tally: tally{conn: client}}, nil
}

// taken is a program on a client's own socket.
type taken struct {
	program *program
	client  *net.TCPConn
	tally   tally
	served  bool
}

// Serve lets the program go on and returns when it, and what is left of its process group, has ended. When ctx is
// cancelled, the client is reset at once and the program terminated.
//
// An answer arrives although the client sent more than the program read: for a second, that is read and dropped.
func (t *taken) Serve(ctx context.Context) (details string, err error) {
	t.served = true
	t.tally.begin()
	if ctx.Err() != nil {
		t.reset()
		t.program.abandon()
		return neverRan, nil
	}
	defer onCancel(ctx, t.cut)()

	failure := t.program.letGo()
	details = t.program.wait()
	final := t.tally.end()
	if failure != nil {
		t.reset()
	} else {
		_ = t.client.CloseWrite()
	}
	var ending sync.WaitGroup
	ending.Go(t.program.end)
	t.linger()
	ending.Wait()

	switch {
	case failure != nil:
		return failure.Error(), nil
	case final.broken && ctx.Err() == nil:
		return details, brokenConnection(details)
	}
	return details, nil
}

// onCancel has f run when ctx is cancelled. The function returned ends that; f does not run any more then.
func onCancel(ctx context.Context, f func()) (release func()) {
	var running sync.WaitGroup
	running.Add(1)
	stop := context.AfterFunc(ctx, func() {
		defer running.Done()
		f()
	})
	return func() {
		if !stop() {
			running.Wait()
		}
	}
}

// cut ends the session for the client now, and for the program as soon as it complies.
func (t *taken) cut() {
	t.tally.end()
	t.reset()
	t.program.terminate()
}

// reset breaks the connection, although the program has the socket too: the last close, which SetLinger is about, may be
// far away.
func (t *taken) reset() {
	_ = t.client.SetLinger(0)
	control(t.client, func(fd int) {
		nowhere := unix.RawSockaddr{Family: unix.AF_UNSPEC} // connect(2): dissolves the association
		_, _, _ = unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&nowhere)), unsafe.Sizeof(nowhere))
	})
}

// linger reads what the client still sends, to its end or a limit, and ends that direction: a descendant that left the
// group still has the socket, and reads from it no more. The socket may be a blocking one by now.
func (t *taken) linger() {
	defer t.client.CloseRead()
	raw, err := t.client.SyscallConn()
	if err != nil {
		return
	}
	t.client.SetReadDeadline(time.Now().Add(lingerTime))
	buffer, left := make([]byte, 1<<10), lingerBytes
	_ = raw.Read(func(fd uintptr) bool {
		for left > 0 {
			n, _, err := unix.Recvfrom(int(fd), buffer, unix.MSG_DONTWAIT)
			switch {
			case errors.Is(err, unix.EINTR):
			case errors.Is(err, unix.EAGAIN):
				return false
			case err != nil || n == 0:
				return true
			}
			left -= max(n, 0)
		}
		return true
	})
}

// Transfer counts what the kernel has of the client's bytes, and what the program wrote, whether it was sent or not. It is
// exact, except that after a reset the client's FIN may be counted as a byte.
func (t *taken) Transfer() jackfield.Transfer { return t.tally.transfer() }

// Release ends a program that was not served.
func (t *taken) Release() {
	if !t.served {
		t.served = true
		t.program.abandon()
	}
}

func brokenConnection(details string) error {
	if details == "" {
		return errors.New("the connection broke")
	}
	return errors.New("the connection broke; the program: " + details)
}
