package command

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"golang.org/x/sys/unix"

	"jackfield"
)

// A program is a session's process and what belongs to it.
type program struct {
	*process
	stderr *stderrLog // nil: stderr is the stream
	log    *slog.Logger
}

// start starts the route's program on stream, up to the point where it waits to go on. Its errors are refusals.
func (r *Route) start(ctx context.Context, req *jackfield.Request, stream int) (*program, error) {
	spec := r.spec
	spec.Environment = r.sessionEnvironment(ctx, req)
	p := &program{log: r.log.With("id", req.ID, "service", string(req.Service))}
	writer := -1
	if r.logsStderr {
		var err error
		if p.stderr, writer, err = newStderrLog(p.log); err != nil {
			return nil, cannotStart(err)
		}
		defer unix.Close(writer)
	}
	process, err := r.launcher.start(ctx, &spec, stream, writer)
	if err != nil {
		p.stderr.discard()
		return nil, cannotStart(fmt.Errorf("%s: %w", spec.Path, err))
	}
	process.grace = r.grace
	p.process = process
	return p, nil
}

func cannotStart(err error) error {
	return jackfield.Refuse(jackfield.Unavailable, "service cannot be started", err)
}

// letGo has the program run, and returns why it could not.
func (p *program) letGo() error {
	p.stderr.start()
	err := p.process.letGo()
	if err != nil {
		p.log.Warn("program could not be executed", "error", err)
	}
	return err
}

// wait returns when the leader has exited, with what to say of it.
func (p *program) wait() (details string) {
	status, err := p.process.wait()
	if err != nil {
		return "exit status unknown: " + err.Error()
	}
	return describe(status)
}

// end ends what the leader left behind and frees everything.
func (p *program) end() {
	if !p.endGroup() {
		p.log.Warn("processes of a program cannot be ended", "process_group", p.pid)
	}
	p.stderr.close()
	p.close()
}

// neverRan are the details of a program that was abandoned.
const neverRan = "the program was not started"

// abandon ends a program that was not let go.
func (p *program) abandon() {
	p.process.abandon()
	p.stderr.discard()
}

// describe puts a status into words; status 0 needs none.
func describe(s unix.WaitStatus) string {
	switch {
	case s.Signaled() && s.CoreDump():
		return "killed by " + signalName(s.Signal()) + ", core dumped"
	case s.Signaled():
		return "killed by " + signalName(s.Signal())
	case s.ExitStatus() != 0:
		return fmt.Sprintf("exit status %d", s.ExitStatus())
	}
	return ""
}

func signalName(s os.Signal) string {
	number, _ := s.(unix.Signal)
	if name := unix.SignalName(number); name != "" {
		return name
	}
	return fmt.Sprintf("signal %d", int(number))
}
