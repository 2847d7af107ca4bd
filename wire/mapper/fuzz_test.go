package mapper

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// addSeeds adds what side says in the transcripts.
func addSeeds(f *testing.F, side string) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		f.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		var said []string
		for line := range strings.Lines(string(content)) {
			if text, ok := strings.CutPrefix(line, side+" "); ok {
				said = append(said, text)
			}
		}
		f.Add([]byte(strings.Join(said, "")))
	}
}

// credit is the plain reading of the rules: what application output, whole and without a fault, says about id.
func credit(output []byte, id string) (allowed bool) {
	open := ""
	for line := range strings.Lines(string(output)) {
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		if rest, ok := strings.CutPrefix(line, "request:"); ok {
			if open == id {
				return false
			}
			open = strings.TrimPrefix(rest, " ")
		} else if strings.HasPrefix(line, "success:") || strings.HasPrefix(line, "failure:") {
			if open == id {
				return line[0] == 's'
			}
			open = ""
		}
	}
	return false
}

// FuzzConversation reads any output of an application that was asked "1" and "2".
func FuzzConversation(f *testing.F) {
	addSeeds(f, "A")
	f.Add([]byte("version:1\nrequest:1\nrequest:2\nsuccess:\n"))
	f.Add([]byte("version:1\r\nrequest: 2\r\nk=v\r\nsuccess: x\r\nrequest:2\r\nfailure:\r\n\r\nrequest:1\r\nsuccess:\r\n"))
	f.Add([]byte("version:1\nsuccess:\nrequest:9\nsuccess:\nrequest:1\nfailure:\x00\n"))
	f.Fuzz(func(t *testing.T, output []byte) {
		answers, c, err := ask(newScript(string(output)), ids("1", "2")...)
		slow := newScript("")
		slow.Reader = iotest.OneByteReader(bytes.NewReader(output))
		again, _, slowErr := ask(slow, ids("1", "2")...)
		if (err == nil) != (slowErr == nil) || err == nil && verdict(answers[0])+verdict(answers[1]) != verdict(again[0])+verdict(again[1]) {
			t.Fatalf("whole %v, %v; byte by byte %v, %v", answers, err, again, slowErr)
		}
		for i, a := range answers {
			id := string('1' + rune(i))
			if a.Allowed() && !credit(output, id) {
				t.Fatalf("request %s is allowed by %q", id, output)
			}
			if len(a.Entries) > MaxEntries || strings.ContainsAny(a.Text, "\n\x00") {
				t.Fatalf("answer %q, %d entries", a.Text, len(a.Entries))
			}
		}
		if n := len(c.Oddities()); n > maxNotes+1 {
			t.Fatalf("%d oddities", n)
		}
	})
}

var wellFormed = regexp.MustCompile(`^request:[^\n\r\x00]+\n([^\n\r\x00=:]+=[^\n\r\x00]*\n)*(success|failure):[^\n\r\x00]*\n$`)

// FuzzServe reads any input of a server. The handler gives back what it was asked.
func FuzzServe(f *testing.F) {
	addSeeds(f, "S")
	f.Add([]byte("version:1\nrequest:1\nk=v\nrequest:2\nend-of-request:1\nrequest:1\nend-of-request:1"))
	f.Add([]byte("request: 1\r\n=\r\nk=\r\nend-of-request:1\r\n\r\nrequest:\n"))
	f.Fuzz(func(t *testing.T, input []byte) {
		var out recorder
		p := Program{Quiet: -time.Second, Handler: func(_ context.Context, r Request) Response {
			return Response{Success: true, Text: r.ID, Entries: r.Entries}
		}}
		err := p.Serve(t.Context(), bytes.NewReader(input), &out)
		begun := strings.Count("\n"+string(input), "\nrequest:")
		if out.writes[0] != "version:1\n" || len(out.writes)-1 > begun {
			t.Fatalf("%d requests, wrote %q", begun, out.writes)
		}
		for _, response := range out.writes[1:] {
			if !wellFormed.MatchString(response) {
				t.Fatalf("malformed response %q", response)
			}
		}
		if err == nil && len(out.writes)-1 != begun {
			t.Fatalf("no error, yet %d requests and %q", begun, out.writes)
		}
		if errors.Is(err, io.EOF) {
			t.Fatalf("the end is an error: %v", err)
		}
	})
}
