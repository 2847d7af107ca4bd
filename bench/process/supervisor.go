//go:build linux

// Package process starts the programs of a benchmark, weighs them, and makes sure that none outlives it.
//
// Every program leads a process group of its own, and the whole group is ended and weighed together, so a program that
// forks (nginx, socat) is one thing here. What it forks into a session of its own (sshd) is weighed with it, and has to end
// by itself, as it does when its connection ends. A program is told to end when the benchmark dies without a chance to say so.
package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// grace is how long a program may take to end in order before it is killed.
const grace = 2 * time.Second

// A Spec is what to start. Standard output and error go to the file Log, which may be read by anybody who can enter its
// directory; an empty Log throws them away.
type Spec struct {
	Path  string
	Args  []string
	Dir   string
	Log   string
	As    *syscall.Credential // nil: as ourselves
	Files []*os.File          // descriptors 3 and up
}

// A Supervisor owns every program that it started.
//
// Linux ties the signal "your parent died" to the thread that forked, so all programs are started from one thread, which
// lives until Close.
type Supervisor struct {
	jobs chan func()

	mu      sync.Mutex
	running map[*Process]struct{}
}

// NewSupervisor returns a supervisor with nothing running. Close it.
func NewSupervisor() *Supervisor {
	s := &Supervisor{jobs: make(chan func()), running: make(map[*Process]struct{})}
	go func() {
		runtime.LockOSThread()
		for job := range s.jobs {
			job()
		}
	}()
	return s
}

// Start starts a program.
func (s *Supervisor) Start(spec Spec) (*Process, error) {
	log, err := openLog(spec.Log)
	if err != nil {
		return nil, err
	}
	defer log.Close()

	cmd := exec.Command(spec.Path, spec.Args...)
	cmd.Dir = spec.Dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = spec.Files
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM, Credential: spec.As}

	started := make(chan error)
	s.jobs <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Path, err)
	}
	p := &Process{supervisor: s, cmd: cmd, log: spec.Log, done: make(chan struct{})}
	s.mu.Lock()
	s.running[p] = struct{}{}
	s.mu.Unlock()
	go p.wait()
	return p, nil
}

// Close stops everything that still runs.
func (s *Supervisor) Close() {
	s.mu.Lock()
	rest := make([]*Process, 0, len(s.running))
	for p := range s.running {
		rest = append(rest, p)
	}
	s.mu.Unlock()

	var wg sync.WaitGroup
	for _, p := range rest {
		wg.Go(p.Stop)
	}
	wg.Wait()
	close(s.jobs)
}

func (s *Supervisor) forget(p *Process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.running, p)
}

func openLog(name string) (*os.File, error) {
	if name == "" {
		name = os.DevNull
	}
	return os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
}

// A Process is a running program and whatever it forked.
type Process struct {
	supervisor *Supervisor
	cmd        *exec.Cmd
	log        string
	done       chan struct{}
	stop       sync.Once
}

func (p *Process) wait() {
	_ = p.cmd.Wait() // how it ended is told by its log
	close(p.done)
}

// Done is closed when the program itself has ended; what it forked may live on until Stop.
func (p *Process) Done() <-chan struct{} { return p.done }

// Stop ends the program and its group: asked first, killed after two seconds. It returns when none of them is left. A
// second call does nothing: the number of the group may be somebody else's by then.
func (p *Process) Stop() { p.stop.Do(p.end) }

func (p *Process) end() {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(grace):
	}
	p.signal(syscall.SIGKILL)
	<-p.done
	for deadline := time.Now().Add(grace); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if pids, err := p.members(); err != nil || len(pids) == 0 {
			break
		}
	}
	p.supervisor.forget(p)
}

func (p *Process) signal(sig syscall.Signal) {
	_ = syscall.Kill(-p.cmd.Process.Pid, sig) // an empty group is what we want
}

// maxLogTail is how much of a log is worth showing when a program fails, in bytes.
const maxLogTail = 2048

// LogTail returns the end of what the program printed.
func (p *Process) LogTail() string {
	f, err := os.Open(p.log)
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > maxLogTail {
		_, _ = f.Seek(-maxLogTail, io.SeekEnd)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxLogTail))
	if err != nil && !errors.Is(err, io.EOF) {
		return ""
	}
	return string(text)
}
