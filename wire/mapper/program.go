package mapper

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// A Handler decides on a request. It is called concurrently. A leading blank in the text of its response counts as
// layout: servers may drop it. The context ends when Serve returns.
//
// What cannot be sent never is: LF, CR and NUL in the text become blanks, and a text longer than a line is cut. Entries
// that [CheckEntry] refuses, or more than MaxEntries, turn the response into a failure; so does a panic. Recover in the
// handler to learn more about it: nobody else hears what the panic said.
type Handler func(ctx context.Context, r Request) Response

const (
	// DefaultQuiet is how long an application that has answered everything waits for more, unless told otherwise.
	DefaultQuiet = 100 * time.Millisecond

	// DefaultConcurrent is how many requests are decided at the same time, unless told otherwise.
	DefaultConcurrent = 16
)

// A Program is the application role: what the server starts.
type Program struct {
	Handler Handler

	// Quiet is how long Serve waits for another request when it has answered all; see there. Zero means DefaultQuiet, a
	// negative value for ever.
	Quiet time.Duration

	// MaxConcurrent is the number of handlers that may run at a time; no more requests are read meanwhile. Zero means
	// DefaultConcurrent.
	MaxConcurrent int
}

// Serve answers a server that speaks on in and listens on out, by the rules of [Program.Serve].
func Serve(ctx context.Context, in io.Reader, out io.Writer, handler Handler) error {
	return (&Program{Handler: handler}).Serve(ctx, in, out)
}

// Serve writes "version:1", then reads requests and writes the handler's responses, each in one write, in any order. It
// returns nil when the input has ended and all is answered.
//
// The document does not say that the server ends the input, only that it waits for the application to exit. So Serve
// returns nil also when it has answered at least one request, none is open, and no line came for the time Quiet. A server
// that pauses for longer between two requests of one exchange loses the second.
//
// A request that has no proper end, or too many entries, is refused: "failure:" and the reason. Entries outside a
// request, entries without a key, other parameters, and lines that are neither parameter nor entry are ignored.
// The server's version may be missing, for the document lets the application ignore it.
//
// Errors, for errors.Is: the cause of ctx, as soon as that ends; what Write returned. After an error of the input
// all that was read is still answered: ErrBadVersion; ErrBadRequest, for an id that is empty, cannot be sent, or is in
// use, so that two answers could not be told apart; ErrLineTooLong; ErrNUL; ErrTooMany (lines without a meaning);
// io.ErrUnexpectedEOF for an input that ends within a line or a request; what Read returned. A program should then exit
// with a status other than 0, by which the server knows that no answer counts.
//
// From the call on, in and out belong to Serve, which does not close them. When it returns before the input has ended, a
// Read is still waiting, and when ctx ended or a Write failed, handlers may be about to return; their responses are
// dropped. All that ends when in and out are closed and the handlers heed their context, or with the process.
func (p *Program) Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &session{
		handler:  p.Handler,
		most:     cmp.Or(p.MaxConcurrent, DefaultConcurrent),
		quiet:    cmp.Or(p.Quiet, DefaultQuiet),
		writing:  make(chan struct{}, 1),
		out:      out,
		lines:    make(chan received),
		answered: make(chan result),
		running:  make(map[string]bool),
	}
	go s.listen(ctx, in)
	if err := s.run(ctx); err != nil {
		return fmt.Errorf("mapper: %w", err)
	}
	return nil
}

// A session is one Serve. Its fields below answered belong to run.
type session struct {
	handler  Handler
	most     int
	quiet    time.Duration
	writing  chan struct{} // holds one Write at a time
	out      io.Writer
	lines    chan received
	answered chan result

	requests requests
	running  map[string]bool // the ids of requests that wait for their answer
	served   bool            // at least one request was answered
	hushed   bool            // half of quiet has passed since the last line or answer
	ended    bool            // nothing more is read
}

type received struct {
	line string
	err  error
}

type result struct {
	id  string
	err error
}

// listen greets, then reads lines until the first error or the context's end.
func (s *session) listen(ctx context.Context, in io.Reader) {
	reader := newLineReader(in)
	if err := s.write(ctx, greeting+"\n"); err != nil {
		s.report(ctx, result{err: err})
		return
	}
	for err := error(nil); err == nil; {
		var line string
		line, err = reader.next()
		select {
		case s.lines <- received{line, err}:
		case <-ctx.Done():
			return
		}
	}
}

// run returns when everything is answered, a write failed, or ctx ended.
func (s *session) run(ctx context.Context) error {
	var inputErr error
	for !s.ended || len(s.running) > 0 {
		lines := s.lines
		if s.ended || len(s.running) >= s.most {
			lines = nil
		}
		select {
		case r := <-lines:
			s.hushed = false
			if err := s.take(ctx, r); err != nil {
				s.ended, inputErr = true, err
			}
		case r := <-s.answered:
			if r.err != nil {
				return r.err
			}
			delete(s.running, r.id)
			s.served, s.hushed = true, false
		case <-s.becomesQuiet():
			if s.hushed {
				return nil
			}
			s.hushed = true
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return inputErr
}

// becomesQuiet returns a channel that is nil while more is owed or expected. It is that of half the time: where this process did not
// run for a while, the other half is what a line has that is here already.
func (s *session) becomesQuiet() <-chan time.Time {
	if !s.served || len(s.running) > 0 || s.requests.open != nil || s.quiet < 0 {
		return nil
	}
	return time.After(s.quiet / 2)
}

// take takes a line or the end of the input.
func (s *session) take(ctx context.Context, r received) error {
	if r.err != nil {
		s.ended = true
		return s.takeEnd(ctx, r.err)
	}
	request, err := s.requests.take(r.line)
	if request == nil || err != nil {
		return err
	}
	return s.start(ctx, request)
}

func (s *session) takeEnd(ctx context.Context, err error) error {
	unfinished := s.requests.broken("the input ended within it")
	if unfinished == nil {
		if err == io.EOF {
			return nil
		}
		return err
	}
	if err == io.EOF {
		err = fmt.Errorf("the input ended within a request: %w", io.ErrUnexpectedEOF)
	}
	return errors.Join(err, s.start(ctx, unfinished))
}

// start has the request answered.
func (s *session) start(ctx context.Context, request *incoming) error {
	id := trimBlank(request.ID)
	if s.running[id] {
		return fmt.Errorf("%w: the id %s is in use", ErrBadRequest, quote(id))
	}
	s.running[id] = true
	go func() {
		response := Response{Text: request.malformed}
		if request.malformed == "" {
			response = s.decide(ctx, request.Request)
		}
		s.report(ctx, result{id, s.write(ctx, encode(request.ID, response))})
	}()
	return nil
}

func (s *session) report(ctx context.Context, r result) {
	select {
	case s.answered <- r:
	case <-ctx.Done():
	}
}

// decide calls the handler and survives it.
func (s *session) decide(ctx context.Context, r Request) (response Response) {
	defer func() {
		if recover() != nil {
			response = Response{Text: "internal error: the handler panicked"}
		}
	}()
	r.ID = trimBlank(r.ID)
	return s.handler(ctx, r)
}

// write writes text in one write, unless Serve has returned.
func (s *session) write(ctx context.Context, text string) error {
	select {
	case s.writing <- struct{}{}:
		defer func() { <-s.writing }()
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	_, err := io.WriteString(s.out, text)
	return err
}

// encode makes the lines of a response.
func encode(id string, r Response) string {
	if checkEntries(r.Entries) != nil {
		r = Response{Text: "internal error: the handler's entries cannot be sent"}
	}
	var b strings.Builder
	line := func(s string) { b.WriteString(s + "\n") }
	line(parameter(request, id))
	for _, entry := range r.Entries {
		line(entry.line())
	}
	verdict := failure
	if r.Success {
		verdict = success
	}
	line(parameter(verdict, safeText(r.Text)))
	return b.String()
}

var ends = strings.NewReplacer("\n", " ", "\r", " ", "\x00", " ")

// safeText makes text fit on the line of a verdict.
func safeText(text string) string {
	return ends.Replace(text[:min(len(text), MaxLine-len("success:\n"))])
}
