package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"jackfield"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLinesHaveTheDocumentedFieldsInOrder(t *testing.T) {
	path, log := open(t, Options{})
	r := sample("9f3a")
	if err := log.Opened(r); err != nil {
		t.Fatal(err)
	}
	log.Closed(r)
	log.Refused(&jackfield.Record{Request: jackfield.Request{ID: "b2", Listener: "mux"}, Kind: jackfield.Denied})

	const subject = `"listener":"mux","protocol":"tcpmux","source":"192.0.2.7:4711","local":"127.0.0.1:1078",` +
		`"user":"ada","groups":["lab","staff"],"proof":"kerberos","service":"console.fpga-1",` +
		`"route":"dial 127.0.0.1:80","by":["acl.global[2]"]`
	want := []string{
		`{"event":"open","time":"T","id":"9f3a",` + subject + `}`,
		`{"event":"close","time":"T","id":"9f3a",` + subject + `,"duration_seconds":1.5,"bytes_from_client":3,` +
			`"bytes_from_service":0,"end":"finished","end_details":""}`,
		`{"event":"refuse","time":"T","id":"b2","listener":"mux","protocol":"","source":"","local":"","user":"",` +
			`"groups":[],"proof":"","service":"","route":"","by":[],"kind":"denied","details":""}`,
	}
	moment := regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"`)
	for i, line := range readLines(t, path) {
		if got := moment.ReplaceAllString(line, `"T"`); got != want[i] {
			t.Errorf("line %d:\ngot  %s\nwant %s", i, got, want[i])
		}
	}
	if n := len(readLines(t, path)); n != len(want) {
		t.Errorf("%d lines, want %d", n, len(want))
	}
}

func TestHostileTextStaysInsideItsLine(t *testing.T) {
	path, log := open(t, Options{})
	texts := []string{"a\n{\"event\":\"open\"}", `"},{"`, "\xff\xfe\x00", "\u2028\r\n\x1b[2J", strings.Repeat("x", 1<<20)}
	for _, text := range texts {
		r := sample("1")
		r.Identity.User, r.Identity.Groups = text, []string{text}
		r.Service, r.Details = jackfield.Name(text), text
		log.Refused(r)
	}
	lines := readLines(t, path)
	if len(lines) != len(texts) {
		t.Fatalf("%d lines, want %d", len(lines), len(texts))
	}
	for _, line := range lines {
		if e := parse(t, line); e.Event != eventRefuse {
			t.Errorf("event %q in %.100s", e.Event, line)
		}
		if strings.ContainsAny(line, "\x00\x1b\r") {
			t.Errorf("control characters in %.100q", line)
		}
	}
	if got := parse(t, lines[4]).User; len(got) > maxText+len("…") || !strings.HasSuffix(got, "…") {
		t.Errorf("a text of 1 MiB was kept in %d bytes", len(got))
	}
}

func TestTheFileIsPrivate(t *testing.T) {
	path, _ := open(t, Options{})
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("mode %o, want 600", got)
	}
}

func TestOpenContinuesWhereTheLastProcessStopped(t *testing.T) {
	const whole = `{"event":"open"}` + "\n"
	for name, test := range map[string]struct{ before, after string }{
		"whole lines":         {whole, whole},
		"a line cut short":    {whole + `{"event":"clo`, whole},
		"nothing but a start": {`{"ev`, ""},
		"zeros after a crash": {whole + "\x00\x00\x00", whole},
		"not ours":            {whole + "hello", whole + "hello\n"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "audit.jsonl")
			if err := os.WriteFile(path, []byte(test.before), 0o600); err != nil {
				t.Fatal(err)
			}
			log := openAt(t, path, Options{})
			if err := log.Opened(sample("1")); err != nil {
				t.Fatal(err)
			}
			got := read(t, path)
			rest, found := strings.CutPrefix(got, test.after)
			if !found || strings.Count(rest, "\n") != 1 || parse(t, rest).ID != "1" {
				t.Errorf("the file is now %q", got)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	directory := t.TempDir()
	for name, opts := range map[string]Options{
		"no directory":   {Path: filepath.Join(directory, "none", "audit.jsonl")},
		"not a file":     {Path: os.DevNull},
		"keeping nobody": {Path: filepath.Join(directory, "audit.jsonl"), MaxSize: 1},
	} {
		t.Run(name, func(t *testing.T) {
			opts.Log = slog.New(slog.DiscardHandler)
			if log, err := Open(opts); err == nil {
				log.Close()
				t.Error("opened")
			}
		})
	}
}

func TestConcurrentRecordsAreWholeAndInOrder(t *testing.T) {
	path, log := open(t, Options{})
	const writers, each = 8, 50
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if err := log.Opened(sample(fmt.Sprintf("%d-%d", w, i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	var last string
	lines := readLines(t, path)
	for _, line := range lines {
		e := parse(t, line)
		if e.Time < last {
			t.Errorf("%s stands after %s", e.Time, last)
		}
		last = e.Time
	}
	if len(lines) != writers*each {
		t.Errorf("%d lines, want %d", len(lines), writers*each)
	}
}

func TestAfterCloseNothingIsWritten(t *testing.T) {
	path, log := open(t, Options{MaxSize: 1, Keep: 1})
	if err := log.Opened(sample("1")); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if err := log.Opened(sample("2")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Opened after Close: %v", err)
	}
	if n := len(readLines(t, path)); n != 1 {
		t.Errorf("%d lines, want 1", n)
	}
}

func BenchmarkOpened(b *testing.B) {
	_, log := open(b, Options{MaxSize: 64 << 20, Keep: 1})
	r := sample("9f3a")
	b.ReportAllocs()
	for b.Loop() {
		if err := log.Opened(r); err != nil {
			b.Fatal(err)
		}
	}
}

func sample(id string) *jackfield.Record {
	return &jackfield.Record{
		Request: jackfield.Request{
			ID:       id,
			Listener: "mux",
			Protocol: "tcpmux",
			Source:   netip.MustParseAddrPort("192.0.2.7:4711"),
			Local:    netip.MustParseAddrPort("127.0.0.1:1078"),
			Identity: jackfield.Identity{User: "ada", Groups: []string{"lab", "staff"}, Proof: jackfield.ProofKerberos},
			Service:  "console.fpga-1",
			Route:    "dial 127.0.0.1:80",
		},
		By:       []string{"acl.global[2]"},
		Duration: 1500 * time.Millisecond,
		Transfer: jackfield.Transfer{FromClient: 3},
		End:      jackfield.End{Cause: jackfield.EndFinished},
	}
}

func open(t testing.TB, opts Options) (string, *Log) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	return path, openAt(t, path, opts)
}

func openAt(t testing.TB, path string, opts Options) *Log {
	t.Helper()
	opts.Path = path
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	log, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return log
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// readLines fails unless the file consists of whole lines.
func readLines(t *testing.T, path string) []string {
	t.Helper()
	var lines []string
	r := bufio.NewReader(strings.NewReader(read(t, path)))
	for {
		line, err := r.ReadString('\n')
		if err == io.EOF && line == "" {
			return lines
		}
		if err != nil {
			t.Fatalf("%s ends with half a line: %q", path, line)
		}
		lines = append(lines, strings.TrimSuffix(line, "\n"))
	}
}

type parsed struct {
	Event, Time, ID, User, Details, End string
	Records                             int
}

func parse(t *testing.T, line string) parsed {
	t.Helper()
	var p parsed
	d := json.NewDecoder(bytes.NewReader([]byte(line)))
	if err := d.Decode(&p); err != nil {
		t.Fatalf("%q is not JSON: %v", line, err)
	}
	return p
}
