package mapper

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"sync"
)

// An Application is a program that runs and decides. Read is its standard output; Write is its standard input, which
// Close ends. Write and Read are called by different goroutines; Close is called once, and a pending Write returns then.
//
// The application may be ended at any time from outside, by killing it or by closing the pipes: Read, Write and Wait
// return then.
//
// If it has a method Abandon(), that is called, from any goroutine, as soon as nothing that it still does can count: it has
// broken the rules of the exchange, or goes on writing without end. It may then be ended before its time is over.
//
// A started [os/exec.Cmd] with its two pipes is one:
//
//	struct { io.Reader; io.WriteCloser; *exec.Cmd }{stdout, stdin, cmd}
type Application interface {
	io.Reader
	io.WriteCloser

	// Wait returns when the application has exited, with an error unless its exit status is 0. It is called once, when
	// no more answers are read. After it has returned, Read returns soon, even if a child of the application holds its
	// standard output open.
	Wait() error
}

// A Conversation is one exchange with an application, in the server role: Greet, then Ask. Neither has a deadline of its
// own; the caller ends the application when his time is over. Greet and Ask are not called at the same time.
type Conversation struct {
	app      Application
	lines    lineReader
	journal  journal
	received int  // bytes
	ready    bool // greeted, and not asked yet
}

// NewConversation begins nothing yet. The trace may be nil.
func NewConversation(app Application, trace *Trace) *Conversation {
	c := &Conversation{app: app, lines: newLineReader(app)}
	if trace != nil {
		c.journal.trace = *trace
	}
	return c
}

// An Answer is what became of a request.
type Answer struct {
	Response       // as received, and to be acted on only if Err is nil
	Err      error // why there is no valid response; nil if there is one
}

// Allowed says that the application answered "success:" and nothing speaks against it.
func (a Answer) Allowed() bool { return a.Success && a.Err == nil }

// Oddities returns what was ignored or skipped, in at most 21 sentences, each below 2 KiB, quoted and safe to log.
func (c *Conversation) Oddities() []string { return c.journal.oddities() }

// Greet waits for the application's "version:" (step 1). Other lines before it are ignored. It may be called long before
// there is something to ask. After an error the caller ends the application and waits for it.
//
// Errors: ErrNoVersion, ErrBadVersion, ErrLineTooLong, ErrNUL, ErrTooMany.
func (c *Conversation) Greet() error {
	for !c.ready {
		if err := c.greet(); err != nil {
			return fmt.Errorf("mapper: %w", err)
		}
	}
	return nil
}

// greet takes one line.
func (c *Conversation) greet() error {
	line, err := c.receive()
	switch {
	case err == io.EOF:
		return fmt.Errorf("%w: the application's output ended before it", ErrNoVersion)
	case isFault(err):
		return err
	case err != nil:
		return fmt.Errorf("%w: %w", ErrNoVersion, err)
	}
	name, separator, data := split(line)
	if separator != ':' || name != version {
		return c.journal.received(line, "ignored: it comes before the version", true)
	}
	if err := checkVersion(data); err != nil {
		c.journal.received(line, err.Error(), true)
		return err
	}
	c.ready = true
	return c.journal.received(line, understands(data), false)
}

// receive reads the next line of at most MaxReceived bytes in all.
func (c *Conversation) receive() (string, error) {
	line, err := c.lines.next()
	if c.received += len(line) + len("\n"); c.received > MaxReceived {
		return "", fmt.Errorf("%w bytes from the application: %d are allowed", ErrTooMany, MaxReceived)
	}
	return line, err
}

var (
	errNotReady    = errors.New("Ask needs a Greet that succeeded, and asks once")
	errOutputEnded = errors.New("the application's output ended")
)

// Ask sends the server's version and the requests (steps 2 and 3) and ends the application's standard input. At the same
// time it reads the responses, in any order (step 4), until every request is answered; what the application writes later
// is dropped, up to MaxDrained bytes. Then it waits for the application to exit (step 5). It returns one answer per
// request, in the order of the requests; no goroutine is left.
//
// Err of an answer is nil only if the request was sent, the response was whole, all requests of the batch could be
// written, and the application exited with status 0. For errors.Is it is
//   - ErrUnsendable or ErrTooMany for a request that was not sent, because of its id, its entries, or MaxRequests;
//   - ErrUnanswered for a request without an answer, wrapping the reason, or whose response was open when another began;
//   - ErrLineTooLong, ErrNUL or ErrTooMany for the whole batch, if the application broke these rules;
//   - ErrInputUnread or ErrExit for the whole batch, wrapping what Write or Wait returned.
//
// Ids are compared byte for byte. Ignored, and noted as oddities, are: a response to an unknown id, or to one that was
// answered before; entries, "success:" and "failure:" outside a response; a second "version:", other parameters, and
// lines that are neither parameter nor entry. An entry without a key is ignored, too.
//
// Without a Greet that succeeded, and when called again, Ask does nothing but return errors.
func (c *Conversation) Ask(requests []Request) []Answer {
	responses, sendable := expect(requests)
	if !c.ready {
		return responses.settle(errNotReady, errNotReady)
	}
	c.ready = false

	var tasks sync.WaitGroup
	endInput := sync.OnceFunc(func() {
		c.journal.ended()
		c.app.Close()
	})
	var sendErr error
	tasks.Go(func() {
		defer endInput()
		sendErr = c.send(sendable)
	})
	readErr := c.collect(responses)
	if isFault(readErr) {
		c.abandon()
	}
	if readErr == nil || isFault(readErr) {
		tasks.Go(c.drain)
	}
	exitErr := c.app.Wait()
	c.journal.exited(exitErr)
	endInput() // a child of the application may hold its input open and leave it unread
	tasks.Wait()
	return responses.settle(judge(readErr, sendErr, exitErr))
}

// drain drops what the application still writes, so that it can exit.
func (c *Conversation) drain() {
	dropped, _ := io.CopyN(io.Discard, c.app, MaxDrained)
	if dropped == MaxDrained {
		c.abandon()
	}
}

func (c *Conversation) abandon() {
	if app, ok := c.app.(interface{ Abandon() }); ok {
		app.Abandon()
	}
}

// send writes everything that the server has to say.
func (c *Conversation) send(requests []Request) error {
	w := bufio.NewWriter(c.app)
	line := func(s string) error {
		c.journal.sent(s)
		w.WriteString(s)
		return w.WriteByte('\n')
	}
	line(greeting)
	for _, r := range requests {
		line(parameter(request, r.ID))
		for _, entry := range r.Entries {
			line(entry.line())
		}
		if err := line(parameter(endOfRequest, r.ID)); err != nil {
			return err
		}
	}
	return w.Flush()
}

// collect reads responses until every request is answered.
func (c *Conversation) collect(responses *responses) error {
	for responses.left > 0 {
		line, err := c.receive()
		if err != nil {
			return err
		}
		meaning, odd, err := responses.take(line)
		if err != nil {
			c.journal.received(line, err.Error(), true)
			return err
		}
		if err := c.journal.received(line, meaning, odd); err != nil {
			return err
		}
	}
	return nil
}

// judge says what fails the whole batch, if anything does, and why requests have no answer that have none.
func judge(readErr, sendErr, exitErr error) (batch, missing error) {
	switch {
	case isFault(readErr):
		batch = readErr
	case exitErr != nil:
		batch = fmt.Errorf("%w: %w", ErrExit, exitErr)
	case sendErr != nil:
		batch = fmt.Errorf("%w: %w", ErrInputUnread, sendErr)
	case readErr == io.EOF:
		return nil, errOutputEnded
	default:
		return nil, readErr
	}
	return batch, batch
}
