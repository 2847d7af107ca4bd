package inedoserve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"jackfield/wire/inedo"
)

// A Handler is a program that gets all messages with certain commands.
type Handler struct {
	First, Last int32 // commands, both included
	Path        string
	Args        []string
}

// ParseHandler reads "CODE[-CODE]=PROGRAM ARGUMENT…". Codes are as in ParseCommand. The program is looked up in PATH unless
// it has a separator. Words are separated by blanks; there is no quoting.
func ParseHandler(text string) (Handler, error) {
	codes, program, found := strings.Cut(text, "=")
	words := strings.Fields(program)
	if !found || codes == "" || len(words) == 0 {
		return Handler{}, fmt.Errorf("%q is not CODE=PROGRAM or CODE-CODE=PROGRAM", text)
	}
	first, last := codes, codes
	if at := strings.IndexByte(codes[1:], '-'); at >= 0 { // the first may be a sign
		first, last = codes[:at+1], codes[at+2:]
	}
	h := Handler{Args: words[1:]}
	var err, lastErr, pathErr error
	h.First, err = ParseCommand(first)
	h.Last, lastErr = ParseCommand(last)
	h.Path, pathErr = exec.LookPath(words[0])
	if pathErr == nil {
		h.Path, pathErr = filepath.Abs(h.Path)
	}
	if err := cmp.Or(err, lastErr, pathErr); err != nil {
		return Handler{}, err
	}
	if h.First > h.Last {
		return Handler{}, fmt.Errorf("the range %s is empty: its end comes first", codes)
	}
	return h, nil
}

// ParseCommand reads a command's code: an int32, in decimal, or in hexadecimal behind 0x, where it may use all 32 bits.
func ParseCommand(text string) (int32, error) {
	code, err := strconv.ParseInt(text, 0, 64)
	if err != nil || code < math.MinInt32 || code > math.MaxUint32 || code > math.MaxInt32 && !strings.HasPrefix(strings.ToLower(text), "0x") {
		return 0, fmt.Errorf("%q is no command code, which is an int32 such as 3 or 0x4A460000", text)
	}
	return int32(uint32(code)), nil
}

// String returns what ParseHandler reads, without the arguments.
func (h Handler) String() string { return fmt.Sprintf("%d-%d=%s", h.First, h.Last, h.Path) }

// check finds fault with the commands.
func (h Handler) check(rootPathAnswered bool) error {
	has := func(command int32) bool { return h.First <= command && command <= h.Last }
	switch {
	case h.Path == "":
		return errors.New("a handler without a program")
	case has(inedo.CommandUpdateAgent):
		return fmt.Errorf("%s: command %d is Update Agent, which is always refused", h, inedo.CommandUpdateAgent)
	case has(inedo.CommandGetAgentRootPath) && rootPathAnswered:
		return fmt.Errorf("%s: command %d is Get Agent Root Path, which is answered with the root path already", h, inedo.CommandGetAgentRootPath)
	}
	return nil
}

// defaultPause is how long after one start of a handler's program the next one may be.
const defaultPause = time.Second

var (
	errHandlerEnded = errors.New("its handler has ended")
	errStopping     = errors.New("the agent is about to end")
)

// A handler has at most one process that connections may speak to.
type handler struct {
	Handler
	keep    time.Duration
	grace   time.Duration
	pause   time.Duration
	maxData int
	log     *slog.Logger
	running sync.WaitGroup // processes

	mu        sync.Mutex // guards what follows, and processes' connections
	current   *process
	startable time.Time
	closed    bool
}

func newHandler(h Handler, o Options) *handler {
	return &handler{
		Handler: h,
		keep:    o.Keep,
		grace:   o.grace,
		pause:   o.pause,
		maxData: cmp.Or(o.Protocol.MaxData, inedo.DefaultMaxData),
		log:     o.Log.With("handler", h.String()),
	}
}

// deliver gives a message to the process, as soon as that takes it. An error says why the connection cannot go on.
func (h *handler) deliver(ctx context.Context, c *connection, m inedo.Message) error {
	for {
		p, again, err := h.join(c)
		switch {
		case err != nil:
			return err
		case p != nil:
			return p.write(c.number, m)
		}
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// join makes a connection one of the process, which is started if there is none; or says when to try again.
func (h *handler) join(c *connection) (p *process, again time.Duration, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before, spoken := c.spoken[h]
	switch {
	case h.closed:
		return nil, 0, errStopping
	case spoken && before != h.current:
		return nil, 0, errHandlerEnded
	case spoken:
		return before, 0, nil
	case h.current == nil:
		if again := time.Until(h.startable); again > 0 {
			return nil, again, nil
		}
		h.startable = time.Now().Add(h.pause)
		if h.current, err = h.start(); err != nil {
			h.log.Error("handler cannot be started", "error", err)
			return nil, 0, errors.New("its handler cannot be started")
		}
	}
	p = h.current
	p.idle = nil
	p.connections[c.number] = c
	c.spoken[h] = p
	return p, 0, nil
}

// leave takes a connection from a process. One that nobody speaks to any more is kept for a while.
func (h *handler) leave(p *process, c *connection) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(p.connections, c.number)
	if len(p.connections) > 0 || h.current != p {
		return
	}
	var idle *time.Timer
	idle = time.AfterFunc(h.keep, func() { h.dismiss(p, func() bool { return p.idle == idle }) })
	p.idle = idle
}

// dismiss ends a process, if so when it is asked.
func (h *handler) dismiss(p *process, so func() bool) {
	h.mu.Lock()
	due := h.current == p && so()
	if due {
		h.current = nil
	}
	h.mu.Unlock()
	if due {
		p.log.Info("handler is not needed any more")
		p.end()
	}
}

// connection finds one of a process; nil if it has none with that number.
func (h *handler) connection(p *process, number int32) *connection {
	h.mu.Lock()
	defer h.mu.Unlock()
	return p.connections[number]
}

// gone ends the connections of a process that is no use any more, in order: what it has said for them is sent.
func (h *handler) gone(p *process) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.current == p {
		h.current = nil
	}
	for _, c := range p.connections {
		c.log.Warn("connection ends", "reason", errHandlerEnded)
		c.out.end()
	}
	clear(p.connections)
}

// close ends the process, and lets none start.
func (h *handler) close() {
	h.mu.Lock()
	p := h.current
	h.closed, h.current = true, nil
	h.mu.Unlock()
	if p != nil {
		p.end()
	}
}

// wait returns when all processes have ended.
func (h *handler) wait() { h.running.Wait() }
