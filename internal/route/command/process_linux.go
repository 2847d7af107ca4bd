package command

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"jackfield/internal/route/command/forkserver"
)

// past is a deadline that ends every read at once.
var past = time.Unix(1, 0)

// A process leads a process group: first on its way to the program, then as the program.
type process struct {
	pid     int           // 0: not started
	pidfd   *os.File      // waits without a thread, and signals nobody else
	control *os.File      // to the process until it executes the program
	grace   time.Duration // between SIGTERM and SIGKILL
	census  *census       // the launcher's

	mu          sync.Mutex  // guards all below
	terminating *time.Timer // until SIGTERM; nil: not planned
	killing     *time.Timer // from SIGTERM to SIGKILL; nil: not terminated
	closed      bool
}

// start returns when the process stands ready. Stderr is negative if it is the stream.
func (l *Launcher) start(ctx context.Context, spec *forkserver.Spec, stream, stderr int) (*process, error) {
	near, far, err := socketPair(unix.SOCK_STREAM)
	if err != nil {
		return nil, err
	}
	p := &process{control: os.NewFile(uintptr(near), "control"), census: &l.census}
	err = l.send(spec, far, stream, stderr)
	unix.Close(far)
	if err == nil {
		err = p.awaitReady(ctx, l.timeout)
	}
	if err == nil {
		return p, nil
	}
	if p.pid == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
		l.reset()
	}
	p.abandon()
	return nil, err
}

// awaitReady reads what is reported until the process id is known, and that the process is ready or what failed; one may
// come before the other. Ctx counts only once there is a process id: without it nobody could wait for the process.
func (p *process) awaitReady(ctx context.Context, timeout time.Duration) error {
	p.control.SetReadDeadline(time.Now().Add(timeout))
	var failure error
	for settled := false; !settled || p.pid == 0; {
		report, err := p.report()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Errorf("the process was not ready within %v: %w", timeout, os.ErrDeadlineExceeded)
		case errors.Is(err, io.EOF):
			return errors.New("the process ended before it was ready")
		case err != nil:
			return err
		}
		switch report.Step {
		case forkserver.Started:
			if err := p.started(int(report.Value)); err != nil {
				return err
			}
			stop := context.AfterFunc(ctx, func() { p.control.SetReadDeadline(past) })
			defer stop()
		case forkserver.Ready:
			settled = true
		case forkserver.Forking:
			return report.Err()
		default:
			settled, failure = true, report.Err()
		}
	}
	return failure
}

func (p *process) report() (forkserver.Report, error) {
	var b [forkserver.ReportSize]byte
	if _, err := io.ReadFull(p.control, b[:]); err != nil {
		return forkserver.Report{}, err
	}
	return forkserver.Report{
		Step:  forkserver.Step(binary.NativeEndian.Uint32(b[:4])),
		Value: binary.NativeEndian.Uint32(b[4:]),
	}, nil
}

// started notes the process id: from here on there is a child to wait for.
func (p *process) started(pid int) error {
	p.pid = pid
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return os.NewSyscallError("pidfd_open", err)
	}
	p.pidfd = os.NewFile(uintptr(fd), "pidfd")
	return nil
}

// abandon ends a process that was not let go, and frees everything.
func (p *process) abandon() {
	p.control.Close()
	if p.pid == 0 {
		return
	}
	_ = unix.Kill(p.pid, unix.SIGKILL) // nobody has waited for it: the id is still its own
	_, _, _ = reap(p.pid, 0)
	p.close()
}

// letGo has the process execute the program, and returns when it has, or why it could not. It is called once.
func (p *process) letGo() error {
	defer p.control.Close()
	p.control.SetReadDeadline(time.Time{})
	if _, err := p.control.Write([]byte{0}); err != nil {
		return nil // it was killed while it waited, as its status will tell
	}
	report, err := p.report()
	if err != nil {
		return nil // the end of control: the program runs
	}
	return report.Err()
}

// wait returns when the leader has exited, with its status.
func (p *process) wait() (status unix.WaitStatus, err error) {
	raw, err := p.pidfd.SyscallConn()
	if err != nil {
		return 0, err
	}
	var failure error
	err = raw.Read(func(uintptr) bool {
		var exited bool
		status, exited, failure = reap(p.pid, unix.WNOHANG)
		return exited || failure != nil
	})
	return status, errors.Join(failure, err)
}

// close frees what a process that was waited for still holds.
func (p *process) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, timer := range []*time.Timer{p.terminating, p.killing} {
		if timer != nil {
			timer.Stop()
		}
	}
	if p.pidfd != nil {
		p.pidfd.Close()
	}
}

// reap waits for children as wait4 has it.
func reap(pid, options int) (status unix.WaitStatus, exited bool, err error) {
	for {
		got, err := unix.Wait4(pid, &status, options, nil)
		if err == unix.EINTR {
			continue
		}
		return status, got > 0, os.NewSyscallError("wait4", err)
	}
}
