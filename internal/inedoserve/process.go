package inedoserve

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"jackfield/internal/linelog"
	"jackfield/wire/inedo"
)

const (
	// defaultGrace is what a process group has between SIGTERM and SIGKILL, and afterKill what it may take to be gone then.
	defaultGrace = 5 * time.Second
	afterKill    = time.Second

	// groupPoll is how often it is looked whether a group is gone, as nothing tells.
	groupPoll = 10 * time.Millisecond

	// drainTime is for what a program that has ended left in its pipes, or what its descendants still write.
	drainTime = time.Second
)

// A process is one run of a handler's program.
type process struct {
	handler *handler
	cmd     *exec.Cmd
	input   *os.File // to its standard input
	output  *os.File // from its standard output
	log     *slog.Logger

	connections map[int32]*connection // that speak to it; guarded by the handler's mutex
	idle        *time.Timer           // likewise; nil while there are any

	writing sync.Mutex // one frame at a time

	mu     sync.Mutex  // guards what follows
	ending *time.Timer // to SIGKILL; nil: it need not end yet
	over   bool        // its group is gone
}

// start starts the program. It is called with the handler's mutex held.
func (h *handler) start() (*process, error) {
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
	stderr := linelog.New(h.log)
	p := &process{handler: h, input: input, output: output, connections: make(map[int32]*connection)}
	p.cmd = &exec.Cmd{
		Path: h.Path, Args: append([]string{h.Path}, h.Args...),
		Stdin: stdin, Stdout: stdout, Stderr: stderr,
		SysProcAttr: attributes(), WaitDelay: drainTime,
	}
	if err := p.cmd.Start(); err != nil {
		input.Close()
		output.Close()
		return nil, err
	}
	p.log = h.log.With("pid", p.cmd.Process.Pid)
	p.log.Info("handler started")
	h.running.Go(func() { p.run(stderr) })
	return p, nil
}

// run reads what the program says until it has ended, and ends what it left behind.
func (p *process) run(stderr *linelog.Log) {
	var reading sync.WaitGroup
	reading.Go(func() {
		if err := p.read(); err != nil {
			p.log.Error("handler breaks the rules", "error", err)
			p.handler.gone(p)
			p.end()
		}
	})
	err := p.cmd.Wait()
	if errors.Is(err, exec.ErrWaitDelay) || p.isEnding() {
		err = nil // somebody else has its standard error; or it was told to end
	}
	stderr.End()
	p.end() // what is left of its group
	p.awaitGroup()
	p.output.SetReadDeadline(time.Now().Add(drainTime))
	reading.Wait()
	p.output.Close()
	p.handler.gone(p)
	if err != nil {
		p.log.Warn("handler ended", "error", err)
		return
	}
	p.log.Info("handler ended")
}

// end asks the process group to end, and kills it when the grace is over.
func (p *process) end() {
	p.input.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ending == nil && !p.over {
		p.terminateGroup()
		p.ending = time.AfterFunc(p.handler.grace, p.kill)
	}
}

func (p *process) isEnding() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ending != nil
}

func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.over {
		p.killGroup()
	}
}

// awaitGroup returns when nothing is left of a group that was asked to end, or what remains cannot be killed.
func (p *process) awaitGroup() {
	for began := time.Now(); p.hasGroup() && time.Since(began) < p.handler.grace+afterKill; {
		time.Sleep(groupPoll)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true // from here on its number may become another's
	p.ending.Stop()
}

// write gives the program a message, and returns when it has room for it.
func (p *process) write(connection int32, m inedo.Message) error {
	return p.writeFrame(header{connection, int32(len(m.Data)), m.Command}, m.Data)
}

// tellEnd tells the program that a connection is not there any more.
func (p *process) tellEnd(c *connection) {
	_ = p.writeFrame(header{c.number, endOfConnection, 0}, nil) // one that has ended need not know
}

func (p *process) writeFrame(h header, data []byte) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	_, err := p.input.Write(h.marshal())
	if err == nil && len(data) > 0 {
		_, err = p.input.Write(data)
	}
	if err != nil {
		p.handler.gone(p)
		p.end()
		return errHandlerEnded
	}
	return nil
}

// read passes the program's frames on until its output ends. The error is what it did wrong.
func (p *process) read() error {
	frames := newFrameReader(p.output, p.handler.maxData)
	complaints := rate.NewLimiter(1, 10)
	for {
		h, err := frames.next()
		switch {
		case err == io.EOF, errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, os.ErrClosed):
			return nil
		case err != nil:
			return err
		}
		c := p.handler.connection(p, h.connection)
		if c == nil { // it may just have ended
			if complaints.Allow() {
				p.log.Warn("message ignored", "reason", "there is no such connection", "connection", h.connection, "command", h.command)
			}
			continue
		}
		if h.length == endOfConnection {
			c.log.Info("handler ends the connection")
			c.out.end()
			continue
		}
		data, err := frames.data()
		if err != nil {
			return err
		}
		c.out.put(inedo.Message{Command: h.command, Data: data})
	}
}
