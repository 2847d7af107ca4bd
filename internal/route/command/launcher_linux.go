package command

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"jackfield/internal/route/command/forkserver"
)

// startTimeout is how long each step may take until a process stands ready.
const startTimeout = 10 * time.Second

var errClosed = errors.New("the launcher is closed")

// A Launcher starts the programs of all routes, by way of one process of its own: see package forkserver. That process is
// started when it is first needed, again if it was lost, and again when the server has changed its user. A Launcher is
// safe for concurrent use.
type Launcher struct {
	timeout time.Duration // for each step of a start
	census  census

	mu     sync.Mutex // guards all below; held while the process starts, never while it is used
	server *forkServer
	closed bool
}

// NewLauncher returns a Launcher. It starts nothing yet.
func NewLauncher() *Launcher { return &Launcher{timeout: startTimeout} }

// Close ends the launcher's process. Programs that it started go on; new ones are refused.
func (l *Launcher) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.stop()
}

// send has the fork server start a program that reports to control. Stderr is negative if it is the stream.
func (l *Launcher) send(spec *forkserver.Spec, control, stream, stderr int) error {
	descriptors := []int{control, stream}
	if stderr >= 0 {
		descriptors = append(descriptors, stderr)
	}
	rights := unix.UnixRights(descriptors...)
	for attempt := 0; ; attempt++ {
		server, err := l.current()
		if err != nil {
			return err
		}
		request, err := spec.Encode(server.address, stderr >= 0)
		if err != nil {
			return fmt.Errorf("the command and its environment: %w", err)
		}
		err = server.send(request, rights, l.timeout)
		if err == nil || attempt > 0 || !lost(err) {
			return err
		}
		l.discard(server)
	}
}

// lost says whether err is that of a process that is there no more, so that nothing was started yet.
func lost(err error) bool {
	return errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET) || errors.Is(err, net.ErrClosed)
}

// current returns the process, which it starts if there is none with the server's present user.
func (l *Launcher) current() (*forkServer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, errClosed
	}
	if l.server != nil && l.server.owner == currentOwner() {
		return l.server, nil
	}
	l.stop()
	server, err := startForkServer(l.timeout)
	if err != nil {
		return nil, fmt.Errorf("starting the process that starts programs: %w", err)
	}
	l.server = server
	return server, nil
}

// discard drops a process that does not do its work.
func (l *Launcher) discard(server *forkServer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.server == server {
		l.stop()
	}
}

// reset has the next program started by a new process.
func (l *Launcher) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stop()
}

func (l *Launcher) stop() {
	if l.server != nil {
		l.server.stop()
		l.server = nil
	}
}

// A forkServer is a running fork server.
type forkServer struct {
	conn    *net.UnixConn
	pid     int
	address uint64 // where it puts requests
	owner   owner
}

// An owner is whose rights a process has.
type owner struct{ uid, gid int }

func currentOwner() owner { return owner{os.Geteuid(), os.Getegid()} }

func startForkServer(timeout time.Duration) (*forkServer, error) {
	near, far, err := socketPair(unix.SOCK_SEQPACKET)
	if err != nil {
		return nil, err
	}
	defer unix.Close(far)
	conn, err := unixConn(near)
	if err != nil {
		return nil, err
	}
	f := &forkServer{conn: conn, owner: currentOwner()}
	if err := f.start(far, timeout); err != nil {
		conn.Close()
		return nil, err
	}
	return f, nil
}

// start runs the server's own binary with the far end of the connection, and waits until that has become the fork server.
func (f *forkServer) start(far int, timeout time.Duration) error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	first, err := syscall.ForkExec("/proc/self/exe", []string{"jackfield: starts programs"}, &syscall.ProcAttr{
		Dir:   "/",
		Env:   []string{forkserver.Variable + "=1", "GOMAXPROCS=1"},
		Files: []uintptr{null.Fd(), null.Fd(), uintptr(syscall.Stderr), uintptr(far)}, // far becomes forkserver.Socket
		Sys:   &syscall.SysProcAttr{Setpgid: true},                                    // not to be ended by a terminal's Ctrl-C
	})
	if err != nil {
		return err
	}
	defer reap(first, 0)
	var hello [forkserver.HelloSize]byte
	f.conn.SetReadDeadline(time.Now().Add(timeout))
	if _, err := io.ReadFull(f.conn, hello[:]); err != nil {
		_ = unix.Kill(first, unix.SIGKILL)
		return fmt.Errorf("no word from the new process: %w", err)
	}
	f.pid = int(binary.NativeEndian.Uint64(hello[:8]))
	f.address = binary.NativeEndian.Uint64(hello[8:])
	return nil
}

func (f *forkServer) send(request, rights []byte, timeout time.Duration) error {
	f.conn.SetWriteDeadline(time.Now().Add(timeout)) // meant for all who send at this time
	_, _, err := f.conn.WriteMsgUnix(request, rights, nil)
	return err
}

// stop ends the process at once: what it has not started yet, nobody waits for.
func (f *forkServer) stop() {
	f.conn.Close()
	_ = unix.Kill(f.pid, unix.SIGKILL)
	_, _, _ = reap(f.pid, 0)
}

// socketPair returns the server's end, which does not block, and the other one, which does.
func socketPair(kind int) (near, far int, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, -1, os.NewSyscallError("socketpair", err)
	}
	if err := unix.SetNonblock(pair[0], true); err != nil {
		unix.Close(pair[0])
		unix.Close(pair[1])
		return -1, -1, os.NewSyscallError("fcntl", err)
	}
	return pair[0], pair[1], nil
}

// unixConn takes fd over.
func unixConn(fd int) (*net.UnixConn, error) {
	f := os.NewFile(uintptr(fd), "socketpair")
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	return conn.(*net.UnixConn), nil
}
