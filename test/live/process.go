// Package live runs the real program for tests: it starts a process, waits for what the process says, and stops it.
//
//	s, err := live.Serve(dir, "jackfield.hcl")
//	...
//	conn, err := net.Dial("tcp", s.Addresses["mux"])
//	...
//	err = s.Stop(syscall.SIGTERM)
//
// A process that panics, that reports a race or a status other than 0 makes Stop fail. The program is the one that the
// shell would find; a test binary puts itself there with testscript.Main.
package live

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Patience is how long anything may take that happens at once on a machine with nothing else to do.
const Patience = time.Minute

// A Process is a command that runs in the background. Its output, standard error included, is kept.
type Process struct {
	cmd    *exec.Cmd
	output *output
	ended  chan struct{}
	err    error // of Wait, once ended is closed
}

// Start starts a command, whose output must not be set yet.
func Start(cmd *exec.Cmd) (*Process, error) {
	p := &Process{cmd: cmd, output: newOutput(), ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.output, p.output
	cmd.WaitDelay = Patience // for children that hold the output open
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// PID is the process's number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Output is what the process has said so far.
func (p *Process) Output() string { return p.output.String() }

// WaitFor waits until the output satisfies a condition. It fails when the process ends before that, or time does.
func (p *Process) WaitFor(met func(output string) bool) error {
	deadline := time.After(Patience)
	for {
		text, more := p.output.watch()
		if met(text) {
			return nil
		}
		select {
		case <-more:
		case <-p.ended:
			if met(p.Output()) {
				return nil
			}
			return fmt.Errorf("%s ended (%v):\n%s", p.cmd, p.err, p.Output())
		case <-deadline:
			return fmt.Errorf("%s has not said what was waited for:\n%s", p.cmd, p.Output())
		}
	}
}

// Stop signals the process and waits for its end. The error says if that was not in order.
func (p *Process) Stop(signal os.Signal) error {
	p.cmd.Process.Signal(signal) // it may have ended
	select {
	case <-p.ended:
	case <-time.After(Patience):
		p.cmd.Process.Kill()
		<-p.ended
		return fmt.Errorf("%s did not stop:\n%s", p.cmd, p.Output())
	}
	if found := disaster.FindString(p.Output()); found != "" {
		return fmt.Errorf("%s: %q:\n%s", p.cmd, found, p.Output())
	}
	if p.err != nil {
		return fmt.Errorf("%s: %w:\n%s", p.cmd, p.err, p.Output())
	}
	return nil
}

var disaster = regexp.MustCompile(`(?m)^panic:.*|^fatal error:.*|^goroutine \d+ \[.*|WARNING: DATA RACE`)

// An output collects what a process writes.
type output struct {
	mu   sync.Mutex // guards what follows
	text strings.Builder
	more chan struct{} // closed, and replaced, when text grows
}

func newOutput() *output { return &output{more: make(chan struct{})} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.more)
	o.more = make(chan struct{})
	return o.text.Write(p)
}

func (o *output) String() string {
	text, _ := o.watch()
	return text
}

// watch returns the text and a channel that is closed when there is more.
func (o *output) watch() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String(), o.more
}
