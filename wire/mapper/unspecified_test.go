package mapper

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// A script is an application that says its piece, whatever it is asked, and exits.
type script struct {
	io.Reader
	input  bytes.Buffer
	closed bool
	status error
}

func newScript(output string) *script { return &script{Reader: strings.NewReader(output)} }

func (s *script) Write(p []byte) (int, error) { return s.input.Write(p) }
func (s *script) Close() error                { s.closed = true; return nil }
func (s *script) Wait() error                 { return s.status }

func TestGreet(t *testing.T) {
	for name, test := range map[string]struct {
		output string
		err    error
		odd    int
	}{
		"version 1":            {output: "version:1\n"},
		"a blank":              {output: "version: 1\n"},
		"CRLF":                 {output: "version:1\r\n"},
		"version 2":            {output: "version:2\n"},
		"leading zero":         {output: "version:01\n"},
		"far future":           {output: "version:99999999999999999999999999\n"},
		"after other lines":    {output: "\nhello\nVersion:0\nx=version:0\nsuccess:\nversion:1\n", odd: 5},
		"the longest line":     {output: strings.Repeat("x", MaxLine-1) + "\nversion:1\n", odd: 1},
		"most lines":           {output: strings.Repeat("\n", MaxIgnored) + "version:1\n", odd: maxNotes + 1},
		"version 0":            {output: "version:0\n", err: ErrBadVersion, odd: 1},
		"version 00":           {output: "version:00\n", err: ErrBadVersion, odd: 1},
		"empty":                {output: "version:\n", err: ErrBadVersion, odd: 1},
		"no number":            {output: "version:x\n", err: ErrBadVersion, odd: 1},
		"negative":             {output: "version:-1\n", err: ErrBadVersion, odd: 1},
		"a fraction":           {output: "version:1.0\n", err: ErrBadVersion, odd: 1},
		"the first one counts": {output: "version:0\nversion:1\n", err: ErrBadVersion, odd: 1},
		"an entry":             {output: "version=1\n", err: ErrNoVersion, odd: 1},
		"nothing":              {err: ErrNoVersion},
		"cut off":              {output: "version:1", err: ErrNoVersion},
		"too long":             {output: strings.Repeat("x", MaxLine) + "\nversion:1\n", err: ErrLineTooLong},
		"NUL":                  {output: "version:1\x00\n", err: ErrNUL},
		"too many lines":       {output: strings.Repeat("\n", MaxIgnored+1), err: ErrTooMany, odd: maxNotes + 1},
	} {
		t.Run(name, func(t *testing.T) {
			c := NewConversation(newScript(test.output), nil)
			if err := c.Greet(); !errors.Is(err, test.err) {
				t.Errorf("error %v, want %v", err, test.err)
			}
			if got := c.Oddities(); len(got) != test.odd {
				t.Errorf("%d oddities, want %d: %q", len(got), test.odd, got)
			}
		})
	}
}

func entries(n int) string { return strings.Repeat("k=v\n", n) }

// The requests are "1" and "2". A verdict is "+" and the text, "-" and the text, or "!" for an error.
func TestUnspecified(t *testing.T) {
	const both = "request:1\nsuccess:\nrequest:2\nfailure:\n"
	for _, test := range []struct {
		name, output string
		one, two     string
		err          error // of those that are "!"
		odd          string
	}{
		{name: "in order", output: both, one: "+", two: "-"},
		{name: "the other order", output: "request:2\nsuccess:\nrequest:1\nfailure:\n", one: "-", two: "+"},
		{name: "CRLF", output: strings.ReplaceAll(both, "\n", "\r\n"), one: "+", two: "-"},
		{name: "a blank before the id", output: "request: 1\nsuccess:\nrequest: 2\nsuccess:\n", one: "+", two: "+"},
		{name: "two blanks", output: "request:  1\nsuccess:\n" + both, one: "+", two: "-", odd: "not asked"},
		{name: "texts", output: "request:1\nsuccess: a: b=c \nrequest:2\nfailure:  \xff\r\r\n", one: "+a: b=c ", two: "- \xff\r"},
		{name: "more output", output: both + "request:1\nfailure:\n\x00", one: "+", two: "-"},
		{name: "version again", output: "version:0\n" + both, one: "+", two: "-", odd: "means nothing"},
		{name: "version within", output: "request:1\nversion:0\nsuccess:\nrequest:2\nsuccess:\n", one: "+", two: "+", odd: "means nothing"},
		{name: "end-of-request", output: "request:1\nsuccess:\nend-of-request:1\nrequest:2\nsuccess:\n", one: "+", two: "+", odd: "means nothing"},
		{name: "unknown parameter", output: "hello:1\n" + both, one: "+", two: "-", odd: "means nothing"},
		{name: "upper case", output: "request:1\nSUCCESS:\nfailure:\nrequest:2\nsuccess:\n", one: "-", two: "+", odd: "means nothing"},
		{name: "a blank before the name", output: "request:1\n success:\nfailure:\nrequest:2\nsuccess:\n", one: "-", two: "+", odd: "means nothing"},
		{name: "neither", output: "\nsuccess\n" + both, one: "+", two: "-", odd: "neither"},
		{name: "entry outside", output: "k=v\n" + both, one: "+", two: "-", odd: "no response that counts is open"},
		{name: "entry without a key", output: "request:1\n=v\nsuccess:\nrequest:2\nsuccess:\n", one: "+", two: "+", odd: "without a key"},
		{name: "looks like a verdict", output: "request:1\nsuccess=:\nfailure:\nrequest:2\nsuccess:\n", one: "-", two: "+"},
		{name: "success first", output: "success:\n" + both, one: "+", two: "-", odd: "no response that counts is open"},
		{name: "success between", output: "request:1\nfailure:\nsuccess:\nrequest:2\nfailure:\n", one: "-", two: "-", odd: "no response that counts is open"},
		{name: "unknown id", output: "request:3\nk=v\nsuccess:\n" + both, one: "+", two: "-", odd: "not asked"},
		{name: "unknown id, left open", output: "request:3\nk=v\n" + both, one: "+", two: "-", odd: "not asked"},
		{name: "similar id", output: "request:01\nsuccess:\nrequest:1 \nsuccess:\n" + both, one: "+", two: "-", odd: "not asked"},
		{name: "empty id", output: "request:\nsuccess:\n" + both, one: "+", two: "-", odd: "not asked"},
		{name: "binary id", output: "request:\x1b[31m\xff\nsuccess:\n" + both, one: "+", two: "-", odd: `"\x1b[31m\xff"`},
		{name: "answered twice", output: "request:1\nfailure:\nrequest:1\nsuccess:\nrequest:2\nsuccess:\n", one: "-", two: "+", odd: "is answered"},
		{name: "unknown within an answer", output: "request:1\nrequest:3\nsuccess:\nrequest:2\nsuccess:\n", one: "!", two: "+", err: ErrUnanswered, odd: "open still"},
		{name: "two in one block", output: "request:1\nrequest:2\nsuccess:\n", one: "!", two: "+", err: ErrUnanswered, odd: "open still"},
		{name: "begun twice", output: "request:1\nrequest:1\nsuccess:\nrequest:2\nsuccess:\n", one: "!", two: "+", err: ErrUnanswered, odd: "open still"},
		{name: "two in one block, again", output: "request:1\nrequest:2\nsuccess:\nrequest:1\nsuccess:\n", one: "!", two: "+", err: ErrUnanswered},
		{name: "no answer", one: "!", two: "!", err: ErrUnanswered},
		{name: "one answer", output: "request:1\nsuccess:\n", one: "+", two: "!", err: ErrUnanswered},
		{name: "ended within a response", output: "request:1\nsuccess:\nrequest:2\nk=v\n", one: "+", two: "!", err: ErrUnanswered},
		{name: "ended within a line", output: "request:1\nsuccess:\nrequest:2\nsuccess:", one: "+", two: "!", err: ErrUnanswered},
		{name: "most entries", output: "request:1\n" + entries(MaxEntries) + "success:\nrequest:2\nsuccess:\n", one: "+", two: "+"},
		{name: "too many entries", output: "request:2\nsuccess:\nrequest:1\n" + entries(MaxEntries+1) + "success:\n", one: "!", two: "!", err: ErrTooMany},
		{name: "entries without end", output: "request:9\n" + entries(2000) + both, one: "!", two: "!", err: ErrTooMany, odd: "and 1005 more"},
		{name: "line too long", output: "request:1\nsuccess:\nrequest:2\nsuccess:" + strings.Repeat("x", MaxLine) + "\n", one: "!", two: "!", err: ErrLineTooLong},
		{name: "longest line", output: "request:1\nsuccess:\nrequest:2\nfailure:" + strings.Repeat("x", MaxLine-9) + "\n", one: "+", two: "-" + strings.Repeat("x", MaxLine-9)},
		{name: "NUL", output: "request:1\nsuccess:\nrequest:2\nsuccess:\x00\n", one: "!", two: "!", err: ErrNUL},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, pieces := range []func(io.Reader) io.Reader{iotest.DataErrReader, iotest.OneByteReader} {
				app := newScript("version:1\n" + test.output)
				app.Reader = pieces(app.Reader)
				answers, c, err := ask(app, ids("1", "2")...)
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
				if odd := strings.Join(c.Oddities(), "\n"); !strings.Contains(odd, test.odd) || strings.Contains(odd, "\x1b") {
					t.Errorf("oddities %s, want %q", odd, test.odd)
				}
				if want := "version:1\nrequest:1\nend-of-request:1\nrequest:2\nend-of-request:2\n"; app.input.String() != want || !app.closed {
					t.Errorf("sent %q (ended: %t), want %q", app.input.String(), app.closed, want)
				}
			}
		})
	}
}

func verdict(a Answer) string {
	switch {
	case a.Err != nil && !a.Allowed():
		return "!"
	case a.Allowed():
		return "+" + a.Text
	}
	return "-" + a.Text
}

// TestReceivedInAll: no line is too long, no response too large, but there are too many bytes.
func TestReceivedInAll(t *testing.T) {
	value := strings.Repeat("k="+strings.Repeat("v", MaxLine-3)+"\n", MaxEntries)
	var output strings.Builder
	output.WriteString("version:1\n")
	var requests []Request
	for i := range MaxReceived/len(value) + 1 {
		id := fmt.Sprint(i)
		requests = append(requests, Request{ID: id})
		output.WriteString("request:" + id + "\n" + value + "success:\n")
	}
	answers, _, err := ask(newScript(output.String()), requests...)
	if err != nil {
		t.Fatal(err)
	}
	for i, answer := range answers {
		if !errors.Is(answer.Err, ErrTooMany) || answer.Allowed() {
			t.Errorf("answer %d: %v, want %v", i, answer.Err, ErrTooMany)
		}
	}
}

// TestUnsendable: such a request is not sent, and the others do not suffer.
func TestUnsendable(t *testing.T) {
	long := strings.Repeat("x", MaxLine)
	for name, bad := range map[string]Request{
		"empty id":          {},
		"LF in the id":      {ID: "7\nend-of-request:7"},
		"CR in the id":      {ID: "7\r"},
		"NUL in the id":     {ID: "7\x00"},
		"blank before id":   {ID: " 7"},
		"long id":           {ID: long[:MaxLine-len("end-of-request:")]},
		"id in use":         {ID: "1"},
		"LF in a value":     {ID: "7", Entries: Entries{{"user", "0:root\nend-of-request:7"}}},
		"CR in a value":     {ID: "7", Entries: Entries{{"user", "a\rb"}}},
		"NUL in a value":    {ID: "7", Entries: Entries{{"user", "a\x00b"}}},
		"LF in a key":       {ID: "7", Entries: Entries{{"us\ner", ""}}},
		"= in a key":        {ID: "7", Entries: Entries{{"us=er", ""}}},
		": in a key":        {ID: "7", Entries: Entries{{"request:1", ""}}},
		"empty key":         {ID: "7", Entries: Entries{{"", "v"}}},
		"long entry":        {ID: "7", Entries: Entries{{"k", long[:MaxLine-len("k=")]}}},
		"too many entries":  {ID: "7", Entries: slices.Repeat(Entries{{"k", "v"}}, MaxEntries+1)},
		"second entry":      {ID: "7", Entries: Entries{{"k", "v"}, {"k", "\n"}}},
		"long key, no room": {ID: "7", Entries: Entries{{long, ""}}},
	} {
		t.Run(name, func(t *testing.T) {
			app := newScript("version:1\nrequest:2\nsuccess:\nrequest:1\nsuccess:\n")
			answers, _, err := ask(app, Request{ID: "1"}, bad, Request{ID: "2", Entries: Entries{{"k", "a=b:c"}}})
			if err != nil {
				t.Fatal(err)
			}
			if !answers[0].Allowed() || !answers[2].Allowed() {
				t.Errorf("the good ones: %v, %v", answers[0].Err, answers[2].Err)
			}
			if err := answers[1].Err; !errors.Is(err, ErrUnsendable) && !errors.Is(err, ErrTooMany) {
				t.Errorf("error %v", err)
			} else if len(err.Error()) > 500 || strings.ContainsAny(err.Error(), "\n\r\x00") {
				t.Errorf("unsafe error %q", err)
			}
			want := "version:1\nrequest:1\nend-of-request:1\nrequest:2\nk=a=b:c\nend-of-request:2\n"
			if app.input.String() != want {
				t.Errorf("sent %q, want %q", app.input.String(), want)
			}
		})
	}
}

func TestLongestSendable(t *testing.T) {
	r := Request{
		ID:      strings.Repeat("x", MaxLine-len("end-of-request:\n")),
		Entries: slices.Repeat(Entries{{"k", strings.Repeat("v", MaxLine-len("k=\n"))}}, MaxEntries),
	}
	app := newScript("version:1\nrequest:" + r.ID + "\nsuccess:\n")
	answers, _, err := ask(app, r)
	if err != nil || !answers[0].Allowed() {
		t.Errorf("%v, %v", err, answers)
	}
	for line := range strings.Lines(app.input.String()) {
		if len(line) > MaxLine {
			t.Errorf("a line of %d bytes was sent", len(line))
		}
	}
}

func TestTooManyRequests(t *testing.T) {
	var requests []Request
	output := "version:1\n"
	for i := range MaxRequests + 1 {
		requests = append(requests, Request{ID: fmt.Sprint(i)})
		output += fmt.Sprintf("request:%d\nsuccess:\n", i)
	}
	answers, _, err := ask(newScript(output), requests...)
	if err != nil {
		t.Fatal(err)
	}
	for i, answer := range answers {
		if sent := i < MaxRequests; answer.Allowed() != sent || errors.Is(answer.Err, ErrTooMany) == sent {
			t.Errorf("answer %d: %v", i, answer.Err)
		}
	}
}

func TestNothingToAsk(t *testing.T) {
	app := newScript("version:1\n")
	answers, _, err := ask(app)
	if err != nil || len(answers) != 0 || app.input.String() != "version:1\n" || !app.closed {
		t.Errorf("%v, %v, sent %q, ended %t", answers, err, app.input.String(), app.closed)
	}
}

func TestAskOutOfTurn(t *testing.T) {
	app := newScript("version:1\nrequest:1\nsuccess:\n")
	c := NewConversation(app, nil)
	if a := c.Ask(ids("1"))[0]; a.Allowed() || !errors.Is(a.Err, ErrUnanswered) || app.input.Len() > 0 {
		t.Errorf("before Greet: %v, sent %q", a.Err, app.input.String())
	}
	if err := c.Greet(); err != nil {
		t.Fatal(err)
	}
	if a := c.Ask(ids("1"))[0]; !a.Allowed() {
		t.Errorf("after Greet: %v", a.Err)
	}
	sent := app.input.Len()
	if a := c.Ask(ids("1"))[0]; a.Allowed() || !errors.Is(a.Err, ErrUnanswered) || app.input.Len() > sent {
		t.Errorf("again: %v, sent %q", a.Err, app.input.String()[sent:])
	}
}

func TestGet(t *testing.T) {
	e := Entries{{"a", ""}, {"b", "1"}, {"b", "2"}}
	for key, want := range map[string]string{"a": "", "b": "1"} {
		if got, ok := e.Get(key); got != want || !ok {
			t.Errorf("Get(%q) = %q, %t", key, got, ok)
		}
	}
	if got, ok := e.Get("B"); got != "" || ok {
		t.Errorf("Get(B) = %q, %t", got, ok)
	}
}

func TestTrace(t *testing.T) {
	app := newScript("version:1\nhm\nrequest:1\nk=v\nsuccess:yes\n")
	app.status = errors.New("exit status 1")
	var sent, received, other []string
	c := NewConversation(app, &Trace{
		Sent:     func(line string) { sent = append(sent, line) },
		Received: func(line, meaning string) { received = append(received, line+" | "+meaning) },
		Ended:    func() { other = append(other, "ended") },
		Exited:   func(err error) { other = append(other, err.Error()) },
	})
	if err := c.Greet(); err != nil {
		t.Fatal(err)
	}
	c.Ask(ids("1"))
	slices.Sort(other) // the application did not wait for the end of its input
	for _, list := range []struct{ got, want []string }{
		{sent, []string{"version:1", "request:1", "end-of-request:1"}},
		{other, []string{"ended", "exit status 1"}},
		{received, []string{
			"version:1 | the application understands version 1",
			"hm | ignored: neither a parameter nor an entry",
			`request:1 | the response to request "1" begins`,
			`k=v | an entry of the response to request "1"`,
			`success:yes | request "1" is allowed, if the exit status is 0`,
		}},
	} {
		if !slices.Equal(list.got, list.want) {
			t.Errorf("got %q, want %q", list.got, list.want)
		}
	}
}
