package journal

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"jackfield/internal/audit"
	"jackfield/internal/store"
	"jackfield/internal/store/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.DiscardHandler)

// openJournal returns a journal and the store that it is in.
func openJournal(t testing.TB, r store.Retention) (store.Journal, *memory.Store) {
	t.Helper()
	s := memory.New()
	t.Cleanup(func() { s.Close() })
	j, err := s.Journal(context.Background(), Name, r)
	if err != nil {
		t.Fatal(err)
	}
	return j, s
}

// line is an audit line about user n.
func line(n int) string {
	at := time.Date(2026, 1, 1, 0, 0, n, 0, time.UTC).Format(audit.TimeFormat)
	return fmt.Sprintf(`{"event":"open","time":"%s","id":"k3vq-1-%d","user":"u%d"}`, at, n, n)
}

// put appends one record of the server with these lines.
func put(t testing.TB, j store.Journal, server string, lines ...string) {
	t.Helper()
	data := header{server}.encode()
	for _, line := range lines {
		data = append(data, line+"\n"...)
	}
	if _, err := j.Append(context.Background(), data); err != nil {
		t.Fatal(err)
	}
}

// all returns the lines in the journal, the oldest first; server may be empty for any.
func all(t testing.TB, j store.Journal, server string) []string {
	t.Helper()
	var lines []string
	for r, err := range oldestFirst(context.Background(), j, 0) {
		if err != nil {
			t.Fatal(err)
		}
		of, some, ok := decode(r.Data)
		if !ok {
			t.Fatalf("record %d is damaged: %q", r.Sequence, r.Data)
		}
		if server != "" && of != server {
			continue
		}
		for _, line := range some {
			lines = append(lines, string(line))
		}
	}
	return lines
}

func users(records []Record) string {
	var users []string
	for _, r := range records {
		users = append(users, r.User)
	}
	return strings.Join(users, " ")
}
