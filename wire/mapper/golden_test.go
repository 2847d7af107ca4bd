package mapper

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A transcript is a file in testdata. Its lines are "A " or "S " and what the application or the server writes, in the
// order of time; "exit STATUS"; "answer ID VERDICT TEXT ENTRIES", one for each request, for what the server makes of it.
type transcript struct {
	lines   []string // with their mark
	status  string
	answers []string
}

func overTranscripts(t *testing.T, test func(*testing.T, transcript)) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d transcripts, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			test(t, parseTranscript(t, string(content)))
		})
	}
}

func parseTranscript(t *testing.T, content string) transcript {
	var tr transcript
	for line := range strings.Lines(strings.ReplaceAll(content, "\r\n", "\n")) {
		line = strings.TrimSuffix(line, "\n")
		switch word, rest, _ := strings.Cut(line, " "); word {
		case "#":
		case "A", "S":
			tr.lines = append(tr.lines, line)
		case "exit":
			tr.status = rest
		case "answer":
			tr.answers = append(tr.answers, line)
		default:
			t.Fatalf("unknown line %q", line)
		}
	}
	return tr
}

// said is what one side writes, to the byte.
func (tr transcript) said(side string) string {
	var b strings.Builder
	for _, line := range tr.lines {
		if text, ok := strings.CutPrefix(line, side+" "); ok {
			b.WriteString(text + "\n")
		}
	}
	return b.String()
}

// play is one side: it writes its lines, and reads those of the other, to the byte and to the end.
func (tr transcript) play(side string, in io.Reader, out io.Writer, finish func() error) error {
	for _, line := range tr.lines {
		mark, text, _ := strings.Cut(line, " ")
		text += "\n"
		if mark == side {
			if _, err := io.WriteString(out, text); err != nil {
				return err
			}
			continue
		}
		got := make([]byte, len(text))
		if n, err := io.ReadFull(in, got); err != nil || string(got) != text {
			return fmt.Errorf("read %q, %v; want %q", got[:n], err, text)
		}
	}
	if err := finish(); err != nil {
		return err
	}
	if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 {
		return fmt.Errorf("after the last line: %q, %v", rest, err)
	}
	return nil
}

// asked reads the requests from the transcript.
func (tr transcript) asked() []Request {
	var requests []Request
	for line := range strings.Lines(tr.said("S")) {
		if id, ok := strings.CutPrefix(line, "request:"); ok {
			requests = append(requests, Request{ID: strings.TrimSpace(id)})
		} else if key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "="); ok {
			last := &requests[len(requests)-1]
			last.Entries = append(last.Entries, Entry{key, value})
		}
	}
	return requests
}

// responses reads the responses from the transcript, with their text as it stands, and their order.
func (tr transcript) responses() (responses map[string]Response, order []string) {
	responses = make(map[string]Response)
	var r Response
	for line := range strings.Lines(tr.said("A")) {
		line = strings.TrimSuffix(line, "\n")
		if id, ok := strings.CutPrefix(line, "request:"); ok {
			order = append(order, id)
			r = Response{}
		} else if text, ok := strings.CutPrefix(line, "success:"); ok {
			r.Success, r.Text = true, text
		} else if text, ok := strings.CutPrefix(line, "failure:"); ok {
			r.Text = text
		} else if key, value, ok := strings.Cut(line, "="); ok {
			r.Entries = append(r.Entries, Entry{key, value})
		}
		if len(order) > 0 {
			responses[order[len(order)-1]] = r
		}
	}
	return responses, order
}

func describe(id string, a Answer) string {
	verdict := "refused"
	switch {
	case a.Err != nil:
		return fmt.Sprintf("answer %s error", id)
	case a.Allowed():
		verdict = "allowed"
	}
	return fmt.Sprintf("answer %s %s %q %q", id, verdict, a.Text, []Entry(a.Entries))
}

func TestGoldenServer(t *testing.T) {
	overTranscripts(t, func(t *testing.T, tr transcript) {
		app := startApp(func(in *io.PipeReader, out *io.PipeWriter) error {
			if err := tr.play("A", in, out, func() error { return nil }); err != nil {
				t.Error(err)
			}
			if tr.status != "0" {
				return errors.New("exit status " + tr.status)
			}
			return nil
		})
		requests := tr.asked()
		answers, c, err := ask(app, requests...)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for i, answer := range answers {
			got = append(got, describe(requests[i].ID, answer))
		}
		if !slices.Equal(got, tr.answers) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tr.answers, "\n"))
		}
		if oddities := c.Oddities(); len(oddities) > 0 {
			t.Errorf("oddities: %q", oddities)
		}
	})
}

func TestGoldenApplication(t *testing.T) {
	overTranscripts(t, func(t *testing.T, tr transcript) {
		responses, order := tr.responses()
		app := startApp(func(in *io.PipeReader, out *io.PipeWriter) error {
			turns := newTurnstile(out, order)
			return Serve(t.Context(), in, turns, func(_ context.Context, r Request) Response {
				turns.wait(r.ID)
				return responses[r.ID]
			})
		})
		if err := tr.play("S", app, app, app.Close); err != nil {
			t.Error(err)
		}
		if err := app.Wait(); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

// A turnstile lets handlers answer in a given order: each waits until those before it were written.
type turnstile struct {
	io.Writer
	before map[string]int
	mu     sync.Mutex
	moved  sync.Cond
	writes []string
}

func newTurnstile(w io.Writer, order []string) *turnstile {
	t := &turnstile{Writer: w, before: make(map[string]int)}
	t.moved.L = &t.mu
	for i, id := range order {
		t.before[id] = i + 1 // and the greeting
	}
	return t
}

func (t *turnstile) Write(p []byte) (int, error) {
	n, err := t.Writer.Write(p)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.writes = append(t.writes, string(p))
	t.moved.Broadcast()
	return n, err
}

func (t *turnstile) wait(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.writes) < t.before[id] {
		t.moved.Wait()
	}
}

// TestGoldenIsPlayedToTheByte: the transcripts would find a wrong byte.
func TestGoldenIsPlayedToTheByte(t *testing.T) {
	tr := parseTranscript(t, "S version:1\nS request:1\n")
	for name, said := range map[string]string{
		"good": "", "wrong": "version:2\nrequest:1\n", "short": "version:1\n", "long": "version:1\nrequest:1\n\n",
	} {
		if name == "good" {
			said = tr.said("S")
		}
		in := bufio.NewReader(strings.NewReader(said))
		if err := tr.play("A", in, io.Discard, func() error { return nil }); (err == nil) != (name == "good") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
