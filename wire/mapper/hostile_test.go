package mapper

import (
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// An endless application writes the same bytes for ever, until it is killed.
type endless struct {
	begin  io.Reader
	again  string
	read   atomic.Int64
	killed chan struct{}
}

func (e *endless) Read(p []byte) (int, error) {
	select {
	case <-e.killed:
		return 0, io.EOF
	default:
	}
	n, _ := e.begin.Read(p)
	for n < len(p) {
		n += copy(p[n:], e.again)
	}
	e.read.Add(int64(n))
	return n, nil
}

func (e *endless) Write(p []byte) (int, error) { return len(p), nil }
func (e *endless) Close() error                { return nil }

func (e *endless) Wait() error {
	<-e.killed
	return errors.New("signal: killed")
}

func TestEndless(t *testing.T) {
	for name, test := range map[string]struct {
		begin, again string
		greetErr     error
		err          error // of the answer
		most         int64 // bytes that may be read
	}{
		"no line end":          {again: "x", greetErr: ErrLineTooLong, most: MaxLine},
		"empty lines":          {again: "\n", greetErr: ErrTooMany, most: MaxLine},
		"a line, asked":        {begin: "version:1\n", again: "x", err: ErrLineTooLong, most: 2*MaxLine + MaxDrained},
		"NUL, asked":           {begin: "version:1\n", again: "\x00\n", err: ErrNUL, most: 2*MaxLine + MaxDrained},
		"entries":              {begin: "version:1\nrequest:1\n", again: "k=v\n", err: ErrTooMany, most: 2*MaxLine + MaxDrained},
		"answers to others":    {begin: "version:1\n", again: "request:9\nsuccess:\n", err: ErrTooMany, most: 4*MaxLine + MaxDrained},
		"more than was wanted": {begin: "version:1\nrequest:1\nsuccess:\n", again: "success:\n", err: ErrExit, most: 2*MaxLine + MaxDrained},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				app := &endless{begin: strings.NewReader(test.begin), again: test.again, killed: make(chan struct{})}
				time.AfterFunc(5*time.Second, func() { close(app.killed) }) // comes when nobody reads any more
				answers, _, err := ask(app, Request{ID: "1"})
				if !errors.Is(err, test.greetErr) {
					t.Errorf("Greet: %v, want %v", err, test.greetErr)
				}
				for _, a := range answers {
					if !errors.Is(a.Err, test.err) || a.Allowed() {
						t.Errorf("error %v, want %v", a.Err, test.err)
					}
				}
				if n := app.read.Load(); n > test.most {
					t.Errorf("%d bytes were read, at most %d may be", n, test.most)
				}
				<-app.killed
			})
		})
	}
}

// TestNoise: random bytes never allow anything.
func TestNoise(t *testing.T) {
	random := rand.NewChaCha8([32]byte{1})
	for range 100 {
		noise := make([]byte, 10_000)
		random.Read(noise)
		for _, begin := range []string{"", "version:1\n"} {
			answers, c, err := ask(newScript(begin+string(noise)), ids("1", "2")...)
			if begin == "" && err == nil {
				t.Errorf("noise is a greeting")
			}
			for _, a := range answers {
				if a.Err == nil {
					t.Errorf("noise is an answer: %v", a)
				}
			}
			for _, sentence := range c.Oddities() {
				if len(sentence) > 2048 {
					t.Errorf("an oddity has %d bytes", len(sentence))
				}
			}
		}
	}
}

// Applications that read their input, or part of it, and go wrong then.
func TestHostileApplications(t *testing.T) {
	status := errors.New("exit status 1")
	say := func(out io.Writer, text string) { io.WriteString(out, text) }
	wait := func(in io.Reader) { io.Copy(io.Discard, in) }
	for name, test := range map[string]struct {
		program func(in *io.PipeReader, out *io.PipeWriter) error
		one     string
		two     string
		err     error
	}{
		"exits before it answers": {one: "!", two: "!", err: ErrUnanswered,
			program: func(in *io.PipeReader, out *io.PipeWriter) error { wait(in); return nil }},
		"exits between answers": {one: "!", two: "!", err: ErrExit,
			program: func(in *io.PipeReader, out *io.PipeWriter) error {
				wait(in)
				say(out, "request:2\nsuccess:\n")
				return status
			}},
		"exits in order between answers": {one: "!", two: "+", err: ErrUnanswered,
			program: func(in *io.PipeReader, out *io.PipeWriter) error {
				wait(in)
				say(out, "request:2\nsuccess:\n")
				return nil
			}},
		"fails after its answers": {one: "!", two: "!", err: ErrExit,
			program: func(in *io.PipeReader, out *io.PipeWriter) error {
				wait(in)
				say(out, "request:2\nsuccess:\nrequest:1\nsuccess:\n")
				return status
			}},
		"closes its input": {one: "!", two: "!", err: ErrInputUnread,
			program: func(in *io.PipeReader, out *io.PipeWriter) error { return in.Close() }},
		"closes its input and answers": {one: "!", two: "!", err: ErrInputUnread,
			program: func(in *io.PipeReader, out *io.PipeWriter) error {
				in.Close()
				say(out, "request:2\nsuccess:\nrequest:1\nsuccess:\n")
				return nil
			}},
		"reads half and answers": {one: "!", two: "!", err: ErrInputUnread,
			program: func(in *io.PipeReader, out *io.PipeWriter) error {
				io.ReadFull(in, make([]byte, len("version:1\nrequest:1\nend-of-request:1\n")))
				say(out, "request:2\nsuccess:\nrequest:1\nsuccess:\n")
				return nil
			}},
		"closes its output": {one: "!", two: "!", err: ErrUnanswered,
			program: func(in *io.PipeReader, out *io.PipeWriter) error {
				out.Close()
				wait(in)
				return nil
			}},
		"goes on writing": {one: "-", two: "+",
			program: func(in *io.PipeReader, out *io.PipeWriter) error {
				wait(in)
				say(out, "request:2\nsuccess:\nrequest:1\nfailure:\n")
				for range 1000 {
					say(out, "goodbye\n")
				}
				return nil
			}},
	} {
		t.Run(name, func(t *testing.T) {
			app := startApp(func(in *io.PipeReader, out *io.PipeWriter) error {
				say(out, "version:1\n")
				return test.program(in, out)
			})
			answers, _, err := ask(app, ids("1", "2")...)
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range []string{test.one, test.two} {
				if got := verdict(answers[i]); got != want {
					t.Errorf("answer %d is %q (%v), want %q", i+1, got, answers[i].Err, want)
				}
				if want == "!" && !errors.Is(answers[i].Err, test.err) {
					t.Errorf("error %v, want %v", answers[i].Err, test.err)
				}
			}
		})
	}
}

// TestKilled: the caller ends applications that hang, in each step, by closing the pipes.
func TestKilled(t *testing.T) {
	killed := errors.New("signal: killed")
	for name, test := range map[string]struct {
		says     string // then it hangs
		reads    bool   // its input
		requests []Request
		greetErr error
	}{
		"says nothing":               {greetErr: ErrNoVersion},
		"says half a version":        {says: "vers", greetErr: ErrNoVersion},
		"does not read":              {says: "version:1\n", requests: ids("1", "2")},
		"does not answer":            {says: "version:1\n", reads: true, requests: ids("1", "2")},
		"answers one":                {says: "version:1\nrequest:2\nsuccess:\n", reads: true, requests: ids("2", "1")},
		"answers within":             {says: "version:1\nrequest:2\nsucc", reads: true, requests: ids("1", "2")},
		"does not exit":              {says: "version:1\nrequest:1\nsuccess:\n", reads: true, requests: ids("1")},
		"does not exit and not read": {says: "version:1\nrequest:1\nsuccess:\n", requests: ids("1")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				kill := make(chan struct{})
				app := startApp(func(in *io.PipeReader, out *io.PipeWriter) error {
					io.WriteString(out, test.says)
					if test.reads {
						io.Copy(io.Discard, in)
					}
					<-kill
					return killed
				})
				time.AfterFunc(5*time.Second, func() { close(kill) }) // comes when everybody waits
				answers, _, err := ask(app, test.requests...)
				if !errors.Is(err, test.greetErr) || len(answers) != len(test.requests) && err == nil {
					t.Errorf("%d answers, Greet: %v, want %v", len(answers), err, test.greetErr)
				}
				for i, a := range answers {
					if !errors.Is(a.Err, ErrExit) || !errors.Is(a.Err, killed) || a.Allowed() {
						t.Errorf("answer %d: %v, want %v", i, a.Err, killed)
					}
				}
			})
		})
	}
}

// TestChildHoldsPipes: the application is gone, and a child that it left behind neither reads nor writes nor ends.
func TestChildHoldsPipes(t *testing.T) {
	for name, output := range map[string]string{
		"answered":       "request:1\nsuccess:\n",
		"a line, broken": strings.Repeat("x", MaxLine),
	} {
		t.Run(name, func(t *testing.T) {
			app := startApp(func(_ *io.PipeReader, out *io.PipeWriter) error {
				io.WriteString(out, "version:1\n"+output)
				return nil
			})
			orphaned := struct {
				*memoryApp
				io.WriteCloser
			}{memoryApp: app}
			_, orphaned.WriteCloser = io.Pipe() // which nobody reads
			answers, _, err := ask(orphaned, ids("1")...)
			if err != nil || answers[0].Allowed() || answers[0].Err == nil {
				t.Errorf("%v, %v", answers, err)
			}
		})
	}
}

// TestOneSentence: every error reads as one sentence.
func TestOneSentence(t *testing.T) {
	for output, want := range map[string]string{
		"version:1\n":              `mapper: no answer to request "1": the application's output ended`,
		"version:1\nrequest:1":     `mapper: no answer to request "1": the last line "request:1" has no line end: unexpected EOF`,
		"version:1\n\x00\n":        `mapper: no answer to request "1": NUL byte in a line: "\x00\n"`,
		"version:0\n":              `mapper: bad version "0": it must be a number from 1 on`,
		"hello\n":                  `mapper: no version: the application's output ended before it`,
		strings.Repeat("x", 10000): `mapper: line too long: no line end within 8192 bytes`,
	} {
		answers, _, err := ask(newScript(output), ids("1")...)
		if err == nil {
			err = answers[0].Err
		}
		if err == nil || err.Error() != want {
			t.Errorf("%.20q: got  %v\nwant %s", output, err, want)
		}
	}
}
