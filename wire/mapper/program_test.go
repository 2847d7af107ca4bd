package mapper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A recorder keeps what is written, write by write.
type recorder struct {
	mu     sync.Mutex
	writes []string
}

func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writes = append(r.writes, string(p))
	return len(p), nil
}

// echo allows, and says in its text what was asked.
func echo(_ context.Context, r Request) Response {
	return Response{Success: true, Text: fmt.Sprint(r.ID, r.Entries)}
}

// TestServe: what a server may send, and what is written to it, the greeting apart; responses in the order of the text.
func TestServe(t *testing.T) {
	const one = "request:1\nk=v\nend-of-request:1\n"
	const yes = "request:1\nsuccess:1[{k v}]\n"
	for _, test := range []struct {
		name, input string
		want        []string
		err         error
	}{
		{name: "one", input: "version:1\n" + one, want: []string{yes}},
		{name: "a newer server", input: "version: 2\n" + one, want: []string{yes}},
		{name: "no version", input: one, want: []string{yes}},
		{name: "version again", input: "version:1\nversion:0\n" + one, want: []string{yes}},
		{name: "nothing"},
		{name: "version only", input: "version:1\n"},
		{name: "CRLF", input: strings.ReplaceAll(one, "\n", "\r\n"), want: []string{yes}},
		{name: "an id is used again", input: "request:1\nend-of-request:1\n", want: []string{"request:1\nsuccess:1[]\n"}},
		{name: "any id", input: "request:a:b=c\xff\nend-of-request:a:b=c\xff\n", want: []string{"request:a:b=c\xff\nsuccess:a:b=c\xff[]\n"}},
		{name: "a blank before the id", input: "request: 1\nend-of-request:1\n", want: []string{"request: 1\nsuccess:1[]\n"}},
		{name: "other lines", input: "\nhm\nk=v\nsuccess:\nend-of-request:1\nhello:1\nrequest:1\nhm:\n\n=x\nk=v\nend-of-request:1\n", want: []string{yes}},
		{name: "no end", input: "request:2\nk=v\n" + one, want: []string{yes, "request:2\nfailure:malformed request: another request began within this one\n"}},
		{name: "another's end", input: "request:2\nend-of-request:1\n" + one, want: []string{yes, "request:2\nfailure:malformed request: it ended with another id\n"}},
		{name: "most entries", input: "request:1\n" + entries(MaxEntries) + "end-of-request:1\n", want: []string{"request:1\nsuccess:1[" + strings.TrimSpace(strings.Repeat("{k v} ", MaxEntries)) + "]\n"}},
		{name: "too many entries", input: "request:2\n" + entries(MaxEntries+9) + "end-of-request:2\n" + one, want: []string{yes, "request:2\nfailure:malformed request: too many entries\n"}},
		{name: "version 0", input: "version:0\n" + one, err: ErrBadVersion},
		{name: "no number", input: "version:\n" + one, err: ErrBadVersion},
		{name: "empty id", input: one + "request:\nend-of-request:\n", want: []string{yes}, err: ErrBadRequest},
		{name: "CR in the id", input: one + "request:a\rb\nend-of-request:a\rb\n", want: []string{yes}, err: ErrBadRequest},
		{name: "too long", input: one + strings.Repeat("x", MaxLine) + "\n", want: []string{yes}, err: ErrLineTooLong},
		{name: "too long within", input: "request:1\nk=" + strings.Repeat("x", MaxLine), want: []string{"request:1\nfailure:malformed request: the input ended within it\n"}, err: ErrLineTooLong},
		{name: "NUL", input: one + "request:\x00\n", want: []string{yes}, err: ErrNUL},
		{name: "too many lines", input: one + strings.Repeat("\n", MaxIgnored+1), want: []string{yes}, err: ErrTooMany},
		{name: "ends within a request", input: "request:1\nk=v\n", want: []string{"request:1\nfailure:malformed request: the input ended within it\n"}, err: io.ErrUnexpectedEOF},
		{name: "ends within a line", input: one + "request:2", want: []string{yes}, err: io.ErrUnexpectedEOF},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out recorder
			p := Program{Handler: echo, Quiet: -1}
			if err := p.Serve(t.Context(), strings.NewReader(test.input), &out); !errors.Is(err, test.err) {
				t.Errorf("error %v, want %v", err, test.err)
			}
			if out.writes[0] != "version:1\n" {
				t.Errorf("greeting %q", out.writes[0])
			}
			got := out.writes[1:]
			slices.Sort(got)
			if !slices.Equal(got, test.want) {
				t.Errorf("wrote %q, want %q", got, test.want)
			}
		})
	}
}

// TestUnsafeResponses: whatever a handler returns, one well-formed response is written.
func TestUnsafeResponses(t *testing.T) {
	long := strings.Repeat("x", MaxLine)
	const unsendable = "failure:internal error: the handler's entries cannot be sent\n"
	for name, test := range map[string]struct {
		handler Handler
		want    string
	}{
		"text":                    {respond(Response{Success: true, Text: "a\nfailure:\r\x00\xff"}), "success:a failure:  \xff\n"},
		"forged":                  {respond(Response{Text: "no\nrequest:2\nsuccess:"}), "failure:no request:2 success:\n"},
		"long text":               {respond(Response{Text: long}), "failure:" + long[:MaxLine-len("failure:\n")] + "\n"},
		"entries":                 {respond(Response{Success: true, Entries: Entries{{"a", "="}, {"b", ""}}}), "a==\nb=\nsuccess:\n"},
		"LF in an entry":          {respond(Response{Success: true, Entries: Entries{{"a", "\nsuccess:"}}}), unsendable},
		"long entry":              {respond(Response{Success: true, Entries: Entries{{"a", long}}}), unsendable},
		"a key that is a verdict": {respond(Response{Entries: Entries{{"success:", ""}}}), unsendable},
		"too many":                {respond(Response{Success: true, Entries: make(Entries, MaxEntries+1)}), unsendable},
		"panic":                   {func(context.Context, Request) Response { panic("secret\n") }, "failure:internal error: the handler panicked\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var out recorder
			in := strings.NewReader("request:1\nend-of-request:1\n")
			if err := Serve(t.Context(), in, &out, test.handler); err != nil {
				t.Error(err)
			}
			if want := []string{"version:1\n", "request:1\n" + test.want}; !slices.Equal(out.writes, want) {
				t.Errorf("wrote %q, want %q", out.writes, want)
			}
		})
	}
}

func respond(r Response) Handler { return func(context.Context, Request) Response { return r } }

// TestQuiet: a server that leaves the input open, and waits for the application to exit.
func TestQuiet(t *testing.T) {
	const one = "request:1\nend-of-request:1\n"
	for name, test := range map[string]struct {
		quiet  time.Duration
		says   []string // with a minute before each
		closes bool     // a minute after that
		thinks time.Duration
		want   time.Duration
	}{
		"answered":              {says: []string{one}, want: time.Minute + DefaultQuiet},
		"other time":            {quiet: time.Second, says: []string{one}, want: time.Minute + time.Second},
		"slow handler":          {says: []string{one}, thinks: time.Hour, want: time.Minute + time.Hour + DefaultQuiet},
		"several, within time":  {quiet: time.Hour, says: []string{one, one}, want: 2*time.Minute + time.Hour},
		"half a request":        {says: []string{one + "request:2\n", "end-of-request:2\n"}, want: 2*time.Minute + DefaultQuiet},
		"never":                 {quiet: -1, says: []string{one, one}, closes: true, want: 3 * time.Minute},
		"nothing asked yet":     {closes: true, want: time.Minute},
		"a malformed one, only": {says: []string{"request:1\nend-of-request:2\n"}, want: time.Minute + DefaultQuiet},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in, server := io.Pipe()
				go func() {
					for _, text := range test.says {
						time.Sleep(time.Minute)
						io.WriteString(server, text)
					}
					if test.closes {
						time.Sleep(time.Minute)
						server.Close()
					}
				}()
				start := time.Now()
				p := Program{Quiet: test.quiet, Handler: func(ctx context.Context, r Request) Response {
					time.Sleep(test.thinks)
					return echo(ctx, r)
				}}
				if err := p.Serve(t.Context(), in, io.Discard); err != nil {
					t.Error(err)
				}
				if took := time.Since(start); took != test.want {
					t.Errorf("took %v, want %v", took, test.want)
				}
				in.Close()
			})
		})
	}
}

// TestContext: Serve returns when ctx ends, whatever it waits for.
func TestContext(t *testing.T) {
	cause := errors.New("no longer wanted")
	for name, test := range map[string]struct {
		greets  bool // the server reads the greeting
		says    string
		handler Handler
		late    int // responses that are written after the end: those whose Write had begun
	}{
		"the greeting is not read": {},
		"no request":               {greets: true},
		"half a request":           {greets: true, says: "request:1\n"},
		"the handler does not heed it": {greets: true, says: "request:1\nend-of-request:1\n",
			handler: func(context.Context, Request) Response { time.Sleep(time.Hour); return Response{} }},
		"the handler heeds it": {greets: true, says: "request:1\nend-of-request:1\n",
			handler: func(ctx context.Context, _ Request) Response { <-ctx.Done(); return Response{} }},
		"the response is not read": {greets: true, says: "request:1\nend-of-request:1\nrequest:2\nend-of-request:2\n",
			handler: echo, late: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in, server := io.Pipe()
				client, out := io.Pipe()
				ctx, cancel := context.WithCancelCause(t.Context())
				go func() {
					if test.greets {
						io.ReadFull(client, make([]byte, len("version:1\n")))
						io.WriteString(server, test.says)
					}
				}()
				time.AfterFunc(time.Minute, func() { cancel(cause) })
				start := time.Now()
				if err := Serve(ctx, in, out, test.handler); !errors.Is(err, cause) {
					t.Errorf("error %v, want the cause", err)
				}
				if took := time.Since(start); took != time.Minute {
					t.Errorf("took %v", took)
				}
				in.Close()
				go func() {
					time.Sleep(2 * time.Hour)
					out.Close()
				}()
				late, err := io.ReadAll(client)
				if n := strings.Count(string(late), "request:"); n != test.late || err != nil {
					t.Errorf("after the end %q was written, %v", late, err)
				}
			})
		})
	}
}

func TestWriteFails(t *testing.T) {
	for name, greets := range map[string]bool{"the greeting": false, "a response": true} {
		t.Run(name, func(t *testing.T) {
			in, server := io.Pipe()
			client, out := io.Pipe()
			gone := errors.New("gone")
			var peer sync.WaitGroup
			peer.Go(func() {
				if greets {
					io.ReadFull(client, make([]byte, len("version:1\n")))
					io.WriteString(server, "request:1\nend-of-request:1\n")
				}
				client.CloseWithError(gone)
			})
			if err := Serve(t.Context(), in, out, echo); !errors.Is(err, gone) {
				t.Errorf("error %v", err)
			}
			in.Close()
			peer.Wait()
		})
	}
}

func TestReadFails(t *testing.T) {
	broken := errors.New("broken")
	in, server := io.Pipe()
	go func() {
		io.WriteString(server, "request:1\nend-of-request:1\n")
		server.CloseWithError(broken)
	}()
	var out recorder
	p := Program{Handler: echo, Quiet: -1} // however late the error comes
	if err := p.Serve(t.Context(), in, &out); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	if want := []string{"version:1\n", "request:1\nsuccess:1[]\n"}; !slices.Equal(out.writes, want) {
		t.Errorf("wrote %q, want %q", out.writes, want)
	}
}

// TestIDInUse: two answers to the same id could not be told apart, so there is an error; the first is answered still.
func TestIDInUse(t *testing.T) {
	for name, second := range map[string]string{
		"whole":     "request:1\nend-of-request:1\n",
		"a blank":   "request: 1\nend-of-request:1\n",
		"malformed": "request:1\nend-of-request:2\n",
		"cut off":   "request:1\n",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out recorder
				in := strings.NewReader("request:1\nk=v\nend-of-request:1\n" + second)
				err := Serve(t.Context(), in, &out, func(ctx context.Context, r Request) Response {
					synctest.Wait() // until the rest was read
					return echo(ctx, r)
				})
				if !errors.Is(err, ErrBadRequest) {
					t.Errorf("error %v, want %v", err, ErrBadRequest)
				}
				if want := []string{"version:1\n", "request:1\nsuccess:1[{k v}]\n"}; !slices.Equal(out.writes, want) {
					t.Errorf("wrote %q, want %q", out.writes, want)
				}
			})
		})
	}
}

func TestMaxConcurrent(t *testing.T) {
	for given, want := range map[int]int{0: DefaultConcurrent, 1: 1, 3: 3} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			var running, most int
			count := func(n int) {
				mu.Lock()
				defer mu.Unlock()
				running += n
				most = max(most, running)
			}
			p := Program{MaxConcurrent: given, Handler: func(ctx context.Context, r Request) Response {
				count(1)
				defer count(-1)
				time.Sleep(time.Second)
				return echo(ctx, r)
			}}
			var in strings.Builder
			for i := range 50 {
				fmt.Fprintf(&in, "request:%d\nend-of-request:%[1]d\n", i)
			}
			var out recorder
			if err := p.Serve(t.Context(), strings.NewReader(in.String()), &out); err != nil || len(out.writes) != 51 {
				t.Errorf("%d writes, %v", len(out.writes), err)
			}
			if most != want {
				t.Errorf("%d handlers at a time, want %d", most, want)
			}
		})
	}
}

// TestNeverEndingInput: Serve holds one line at a time.
func TestNeverEndingInput(t *testing.T) {
	app := &endless{begin: strings.NewReader("version:1\n"), again: "x", killed: make(chan struct{})}
	if err := Serve(t.Context(), app, io.Discard, echo); !errors.Is(err, ErrLineTooLong) {
		t.Errorf("error %v, want %v", err, ErrLineTooLong)
	}
	if n := app.read.Load(); n > 2*MaxLine {
		t.Errorf("%d bytes were read", n)
	}
}
