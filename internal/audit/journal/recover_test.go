package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"jackfield/internal/audit"
	"jackfield/internal/store"
	"jackfield/internal/store/memory"
)

// A brittleJournal dies after some appends, as a process does.
type brittleJournal struct {
	store.Journal
	appends int
	kill    context.CancelFunc
}

var errKilled = errors.New("killed")

func (j *brittleJournal) Append(ctx context.Context, record []byte) (uint64, error) {
	if j.appends == 0 {
		j.kill()
		return 0, errKilled
	}
	j.appends--
	return j.Journal.Append(ctx, record)
}

// history makes what the file has got in earlier runs.
func history(t *rapid.T) []string {
	var lines, open []string
	clock := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	run, number := 1, 0
	for range rapid.IntRange(0, 60).Draw(t, "lines") {
		// Clocks stand still, go on, and are set back a little; between runs, far.
		clock = clock.Add(time.Duration(rapid.SampledFrom([]int{0, 0, 1, 5, 1000, -3}).Draw(t, "ms")) * time.Millisecond)
		at := clock.Format(audit.TimeFormat)
		record := func(event, id, rest string) string {
			return fmt.Sprintf(`{"event":%q,"time":%q,"id":%q,"listener":"mux","n":%d%s}`, event, at, id, len(lines), rest)
		}
		number++
		id := fmt.Sprintf("k3vq-%d-%d", run, number)
		switch rapid.IntRange(0, 6).Draw(t, "what") {
		case 0, 1:
			open = append(open, id)
			lines = append(lines, record("open", id, ""))
		case 2, 3:
			if len(open) > 0 {
				i := rapid.IntRange(0, len(open)-1).Draw(t, "session")
				lines = append(lines, record("close", open[i], `,"end":"finished"`))
				open = slices.Delete(open, i, i+1)
			}
		case 4:
			lines = append(lines, record("refuse", id, `,"kind":"denied"`))
		case 5:
			lines = append(lines, fmt.Sprintf(`{"event":"suppressed","time":%q,"records":%d}`, at, len(lines)+1))
		case 6:
			run, number = run+1, 0
			clock = clock.Add(time.Duration(rapid.SampledFrom([]int{1, -100}).Draw(t, "hours")) * time.Hour)
		}
	}
	return lines
}

// A server is killed at any moment, or its machine, and so is each of the next ones while it recovers. When one of them gets
// through, file and journal have each line that was left once, and every session is closed once.
func TestRecoverAfterAnyCrash(t *testing.T) {
	directory := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		path := filepath.Join(directory, "audit.jsonl")
		lines := history(t)
		if !hasRequest(lines) {
			lines = nil
		}
		inFile := rapid.IntRange(0, len(lines)).Draw(t, "in the file")
		if !hasRequest(lines[:inFile]) {
			inFile = len(lines) // a file that knows nothing is no source
		}
		inJournal := rapid.IntRange(0, len(lines)).Draw(t, "in the journal")
		writeFiles(t, path, lines[:inFile])
		s := memory.New()
		defer s.Close()
		j, err := s.Journal(t.Context(), Name, store.Retention{})
		if err != nil {
			t.Fatal(err)
		}
		writeJournal(t, j, lines[:inJournal])

		left := lines[:max(inFile, inJournal)]
		for range rapid.IntRange(0, 3).Draw(t, "crashes") {
			die(t, path, &brittleJournal{Journal: j, appends: rapid.IntRange(0, 3).Draw(t, "appends")})
			if rapid.Bool().Draw(t, "machine") && tear(t, path, rapid.IntRange(1, 1000).Draw(t, "bytes")) {
				left = append(fileLines(t, path), journalLines(t, j, "k3vq")...)
			}
		}
		if err := start(t, t.Context(), path, j); err != nil {
			t.Fatal(err)
		}
		file, journal := fileLines(t, path), journalLines(t, j, "k3vq")
		checkOnce(t, "file", file, left)
		checkOnce(t, "journal", journal, left)
		if len(file) != len(journal) {
			t.Fatalf("the file has %d lines, the journal %d", len(file), len(journal))
		}
		if other := strings.Join(journalLines(t, j, "other"), ""); strings.Contains(other, audit.EndLost) {
			t.Fatalf("lines of another server: %q", other)
		}
	})
}

func hasRequest(lines []string) bool {
	return slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, `"id"`) })
}

func writeFiles(t *rapid.T, path string, lines []string) {
	cut := rapid.IntRange(0, len(lines)).Draw(t, "rotated after")
	for name, part := range map[string][]string{path + ".1": lines[:cut], path: lines[cut:]} {
		text := strings.Join(part, "\n")
		if text != "" {
			text += "\n"
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func writeJournal(t *rapid.T, j store.Journal, lines []string) {
	for len(lines) > 0 {
		n := rapid.IntRange(1, len(lines)).Draw(t, "batch")
		records := []string{string(header{"k3vq"}.encode()) + strings.Join(lines[:n], "\n") + "\n"}
		if rapid.Bool().Draw(t, "another server") {
			records = append(records, string(header{"other"}.encode())+`{"event":"open","time":"2026-01-01T00:00:00.000Z","id":"other-1-1"}`+"\n")
		}
		for _, record := range records {
			if _, err := j.Append(t.Context(), []byte(record)); err != nil {
				t.Fatal(err)
			}
		}
		lines = lines[n:]
	}
}

func start(t *rapid.T, ctx context.Context, path string, j store.Journal) error {
	w := NewWriter(j, Options{Server: "k3vq", Log: quiet})
	defer w.Close(ctx)
	log, err := audit.Open(audit.Options{Path: path, Sink: w, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	return Recover(ctx, log, w)
}

// die is a start that ends when the journal fails: what it has written until then is there.
func die(t *rapid.T, path string, j *brittleJournal) {
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	j.kill = kill
	if err := start(t, ctx, path, j); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

// tear takes bytes from the end of the file, as a crash of the machine does, unless it would know nothing then.
func tear(t *rapid.T, path string, bytes int) bool {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text = text[:max(len(text)-bytes, 0)]
	if whole := strings.LastIndexByte(string(text), '\n') + 1; !hasRequest([]string{string(text[:whole])}) {
		return false
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return true
}

// fileLines returns the whole lines of the file and the old one.
func fileLines(t *rapid.T, path string) []string {
	var lines []string
	for _, name := range []string{path + ".1", path} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if whole, is := strings.CutSuffix(line, "\n"); is {
				lines = append(lines, whole)
			}
		}
	}
	return lines
}

func journalLines(t *rapid.T, j store.Journal, server string) []string {
	var lines []string
	for r, err := range oldestFirst(t.Context(), j, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if of, some, ok := decode(r.Data); ok && of == server {
			for _, line := range some {
				lines = append(lines, string(line))
			}
		}
	}
	return lines
}

// checkOnce wants each line that was left once, and one close for each open.
func checkOnce(t *rapid.T, where string, lines, left []string) {
	count := make(map[string]int)
	for _, line := range lines {
		count[line]++
		if head, ok := audit.ParseHead([]byte(line)); ok && len(head.ID) > 0 {
			count[string(head.Event)+" "+string(head.ID)]++
		}
	}
	for _, line := range left {
		if count[line] != 1 {
			t.Fatalf("%s: %d times %s\nin\n%s", where, count[line], line, strings.Join(lines, "\n"))
		}
	}
	for what, n := range count {
		id, isOpen := strings.CutPrefix(what, "open ")
		if n != 1 || isOpen && count["close "+id] != 1 {
			t.Fatalf("%s: %d times %q, and %d closes, in\n%s", where, n, what, count["close "+id], strings.Join(lines, "\n"))
		}
	}
}
