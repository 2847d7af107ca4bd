package mapper

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"

	"jackfield/internal/linelog"
	"jackfield/wire/mapper"
)

const (
	// grace is what a process has, when its time is over, until its group is killed.
	grace = time.Second

	// stderrDelay is how long the log is open for what descendants of a program still write when it has ended.
	stderrDelay = 100 * time.Millisecond
)

// A process is one run of the program. It implements mapper.Application.
type process struct {
	conversation *mapper.Conversation
	cmd          *exec.Cmd
	input        *os.File // to its standard input
	output       *os.File // from its standard output
	leaveHung    bool
	began        time.Time

	exited  chan struct{} // closed when it has ended
	failure error         // valid then; nil is exit status 0

	mu      sync.Mutex
	timer   *time.Timer   // guarded by mu, as is all below; to expire
	allowed time.Duration // which it had
	expired bool
	killing *time.Timer // of the group
	gone    bool        // there is nothing to kill any more

	answered bool // nothing but its end is missing
}

// start starts the program. The trace may be nil.
func (l launch) start(o Options, trace *mapper.Trace, log *slog.Logger) (*process, error) {
	p := &process{leaveHung: o.LeaveHung, began: time.Now(), exited: make(chan struct{})}
	stdin, input, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer stdin.Close()
	output, stdout, err := os.Pipe()
	if err != nil {
		input.Close()
		return nil, err
	}
	defer stdout.Close()
	stderr := linelog.New(log)
	p.input, p.output = input, output
	p.cmd = &exec.Cmd{
		Path: l.path, Args: append([]string{l.path}, o.Args...), Env: l.environment, Dir: "/",
		Stdin: stdin, Stdout: stdout, Stderr: stderr,
		SysProcAttr: l.attributes, WaitDelay: stderrDelay,
	}
	if err := p.cmd.Start(); err != nil {
		input.Close()
		output.Close()
		return nil, fmt.Errorf("the program cannot be started: %w", explainStart(err))
	}
	if o.Nice != 0 {
		p.beNice(o.Nice)
	}
	p.conversation = mapper.NewConversation(p, trace)
	go p.reap(stderr)
	return p, nil
}

// explainStart puts what is wrong with scripts into words.
func explainStart(err error) error {
	switch {
	case errors.Is(err, syscall.ENOENT):
		return fmt.Errorf("%w: it, or the interpreter in its #! line, does not exist; a CR at the end of that line does this, too", err)
	case errors.Is(err, syscall.ENOEXEC):
		return fmt.Errorf("%w: it is no program, and no script with a #! line", err)
	}
	return err
}

// reap runs by itself until the process has ended, and ends what it left in its group.
func (p *process) reap(stderr *linelog.Log) {
	known := awaitExit(p.pid())
	p.mu.Lock()
	if known && !p.leaveHung {
		p.killGroup()
	}
	p.gone = known // from here on its number may become another's
	p.mu.Unlock()
	err := p.cmd.Wait()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // somebody else has its standard error
	}
	stderr.End()
	p.mu.Lock()
	p.gone = true
	if p.killing != nil {
		p.killing.Stop()
	}
	p.mu.Unlock()
	p.failure = err
	close(p.exited)
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// Read reads the program's standard output.
func (p *process) Read(b []byte) (int, error) { return p.output.Read(b) }

// Write writes to the program's standard input.
func (p *process) Write(b []byte) (int, error) { return p.input.Write(b) }

// Close ends the program's standard input.
func (p *process) Close() error { return p.input.Close() }

// Abandon ends a program that has broken the protocol.
func (p *process) Abandon() { p.dismiss() }

// Wait returns when the program has ended. Nothing can be read then.
func (p *process) Wait() error {
	p.mu.Lock()
	p.answered = true
	p.mu.Unlock()
	<-p.exited
	p.output.Close()
	return p.failure
}

// limit gives the process so much time from now on.
func (p *process) limit(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.allowed = d
	p.timer = time.AfterFunc(d, p.expire)
}

// unlimit takes the limit away.
func (p *process) unlimit() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil {
		p.timer.Stop()
	}
}

// expire ends a process whose time is over.
func (p *process) expire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expired = true
	p.end()
}

// dismiss ends a process that is not needed any more.
func (p *process) dismiss() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end()
}

// end takes its standard input and output away, and kills it later. It is called with mu held.
func (p *process) end() {
	p.input.Close()
	p.output.Close()
	if p.killing == nil && !p.leaveHung && !p.gone {
		p.killing = time.AfterFunc(grace, p.kill)
	}
}

func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.gone {
		p.killGroup()
	}
}

// ask asks the process, once, and returns an answer to each question in their order.
func (p *process) ask(timeout time.Duration, asked []mapper.Entries) []mapper.Answer {
	p.limit(timeout)
	requests := make([]mapper.Request, len(asked))
	for i, entries := range asked {
		requests[i] = mapper.Request{ID: strconv.Itoa(i + 1), Entries: entries}
	}
	answers := p.conversation.Ask(requests)
	for i := range answers {
		p.explain(&answers[i])
	}
	return answers
}

// greet returns when the process has greeted, or why it has not: it is ended then.
func (p *process) greet(timeout time.Duration) error {
	p.limit(timeout)
	defer p.unlimit()
	err := p.conversation.Greet()
	if err == nil {
		return nil
	}
	if after, expired := p.ranOut(); expired {
		err = errTimeout{"no version", after}
	}
	p.dismiss()
	return p.withStatus(err)
}

// withStatus adds to an error how the process ended, if it does so by itself.
func (p *process) withStatus(err error) error {
	select {
	case <-p.exited:
		if p.failure != nil && errors.Is(err, mapper.ErrNoVersion) {
			return fmt.Errorf("%w (%w)", err, p.failure)
		}
	case <-time.After(grace / 2):
	}
	return err
}

// run is the whole life of a process with one question.
func (p *process) run(timeout time.Duration, entries mapper.Entries) mapper.Answer {
	defer func() { <-p.exited }()
	if err := p.greet(timeout); err != nil {
		return mapper.Answer{Err: err}
	}
	return p.ask(timeout, []mapper.Entries{entries})[0]
}

// explain says of an answer that it failed because its time was over, if it was.
func (p *process) explain(a *mapper.Answer) {
	after, expired := p.ranOut()
	switch {
	case a.Err == nil || !expired || isFault(a.Err):
	case a.Success || a.Text != "":
		a.Err = errTimeout{noEnd, after}
	default:
		a.Err = errTimeout{"no answer", after}
	}
}

const noEnd = "an answer, but no end of the program"

// missing says what a question waits for that the process has.
func (p *process) missing() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.answered {
		return noEnd
	}
	return "no answer"
}

// isFault says whether an error is the program's breach of the protocol, which counts more than the time it took.
func isFault(err error) bool {
	for _, fault := range []error{mapper.ErrLineTooLong, mapper.ErrNUL, mapper.ErrTooMany} {
		if errors.Is(err, fault) {
			return true
		}
	}
	return false
}

// ranOut says whether the process's time is over, and how long it was.
func (p *process) ranOut() (after time.Duration, expired bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.allowed, p.expired
}
