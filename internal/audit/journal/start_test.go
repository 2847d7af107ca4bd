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
	"testing/synctest"
	"time"

	"jackfield"
	"jackfield/internal/audit"
	"jackfield/internal/store"
)

// open starts a server's audit; when the test ends the server has been killed.
func open(t testing.TB, path string, j store.Journal, o Options) (*audit.Log, *Writer) {
	t.Helper()
	o.Server, o.Log = "k3vq", quiet
	w := NewWriter(j, o)
	log, err := audit.Open(audit.Options{Path: path, Sink: w, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		log.Close()
		kill(w)
	})
	return log, w
}

func kill(w *Writer) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	w.Close(ctx)
}

func session(id, protocol string) *jackfield.Record {
	return &jackfield.Record{Request: jackfield.Request{ID: id, Protocol: protocol, Service: "web", Route: "dial 127.0.0.1:80"}}
}

func write(t testing.TB, path string, lines ...string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// events returns what happened to which request.
func events(lines []string) []string {
	var events []string
	for _, line := range lines {
		if head, ok := audit.ParseHead([]byte(line)); ok {
			events = append(events, fmt.Sprintf("%s %s", head.Event, head.ID))
		}
	}
	return events
}

func TestARestartClosesSessionsAndLinks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	j, s := openJournal(t, store.Retention{})
	log, w := open(t, path, j, Options{})
	for _, r := range []*jackfield.Record{session("k3vq-1-1", "mihini"), session("k3vq-1-2", "tcpmux"), session("k3vq-1-3", "tcp")} {
		if err := log.Opened(r); err != nil {
			t.Fatal(err)
		}
	}
	flush(t, w)
	s.SetReachable(false)
	log.Closed(session("k3vq-1-2", "tcpmux"))
	kill(w)

	log, w = open(t, path, j, Options{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := Recover(ctx, log, w); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("while the store is away: %v", err)
	}
	s.SetReachable(true)
	for range 2 {
		if err := Recover(t.Context(), log, w); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"open k3vq-1-1", "open k3vq-1-2", "open k3vq-1-3", "close k3vq-1-2", "close k3vq-1-1", "close k3vq-1-3"}
	lines := all(t, j, "k3vq")
	if got := events(lines); !slices.Equal(got, want) {
		t.Errorf("the journal has %q", got)
	}
	page, err := NewReader(j).Query(t.Context(), Filter{End: audit.EndLost, Service: "web"}, Cursor{}, 10)
	if err != nil || len(page.Records) != 2 {
		t.Errorf("%d sessions are lost: %v", len(page.Records), err)
	}
	text, err := os.ReadFile(path)
	if err != nil || string(text) != strings.Join(lines, "\n")+"\n" {
		t.Errorf("the file has\n%s: %v", text, err)
	}
}

// A slow store gets as much as it can take: what is recovered does not overflow the queue.
func TestALotIsRecoveredBitByBit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "audit.jsonl")
		var lines []string
		for n, size := 0, 0; size < 3*maxAhead; n++ {
			lines = append(lines, strings.Replace(line(n), "}", fmt.Sprintf(`,"route":%q}`, strings.Repeat("x", 20000)), 1))
			size += len(lines[n])
		}
		write(t, path, lines...)
		j, _ := openJournal(t, store.Retention{})
		lazy := &lazyJournal{Journal: j}
		log, w := open(t, path, lazy, Options{})
		lazy.look = func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			lazy.most = max(lazy.most, w.queue.bytes)
		}
		if err := Recover(t.Context(), log, w); err != nil {
			t.Fatal(err)
		}
		if lazy.most < maxAhead/2 || lazy.most > maxAhead+maxAhead/4 {
			t.Errorf("%d bytes have waited", lazy.most)
		}
		if n := len(all(t, j, "k3vq")); n != 2*len(lines) {
			t.Errorf("the journal has %d lines, want %d", n, 2*len(lines))
		}
	})
}

// A lazyJournal takes a second for each record.
type lazyJournal struct {
	store.Journal
	look func()
	most int
}

func (j *lazyJournal) Append(ctx context.Context, record []byte) (uint64, error) {
	time.Sleep(time.Second)
	j.look()
	return j.Journal.Append(ctx, record)
}

func TestWhatIsAddedToTheJournal(t *testing.T) {
	refusal := func(run, n int) string {
		at := time.Date(2026, 1, 1, 0, 0, n, 0, time.UTC).Format(audit.TimeFormat)
		return fmt.Sprintf(`{"event":"refuse","time":%q,"id":"k3vq-%d-%d"}`, at, run, n)
	}
	for name, test := range map[string]struct {
		old, file, journal []string
		retention          store.Retention
		maxAge             time.Duration
		want               string
	}{
		"an empty journal":        {file: []string{refusal(1, 1), refusal(1, 2)}, want: "refuse k3vq-1-1, refuse k3vq-1-2"},
		"an old file":             {old: []string{refusal(1, 1)}, file: []string{refusal(1, 2)}, want: "refuse k3vq-1-1, refuse k3vq-1-2"},
		"all is there":            {file: []string{refusal(1, 1)}, journal: []string{refusal(1, 1)}, want: "refuse k3vq-1-1"},
		"an empty file":           {journal: []string{refusal(1, 1)}, want: "refuse k3vq-1-1"},
		"the file begins later":   {file: []string{refusal(2, 3)}, journal: []string{refusal(2, 2)}, want: "refuse k3vq-2-2, refuse k3vq-2-3"},
		"the file ends before":    {file: []string{refusal(1, 3)}, journal: []string{refusal(2, 2)}, want: "refuse k3vq-2-2"},
		"lines of another server": {file: []string{strings.Replace(refusal(1, 1), "k3vq", "x", 1), refusal(1, 2)}, want: "refuse k3vq-1-2"},
		"noise":                   {file: []string{"noise", refusal(1, 1), "\x00"}, want: "refuse k3vq-1-1"},
		"too old":                 {file: []string{refusal(1, 1)}, maxAge: time.Hour},
		"forgotten": {file: []string{refusal(1, 1)}, journal: []string{strings.Repeat("x", 200)},
			retention: store.Retention{MaxBytes: 300}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "audit.jsonl")
			if test.old != nil {
				write(t, path+".1", test.old...)
			}
			if test.file != nil {
				write(t, path, test.file...)
			}
			j, _ := openJournal(t, test.retention)
			for _, line := range test.journal {
				put(t, j, "k3vq", line)
			}
			if test.retention.MaxBytes > 0 { // the first records are gone
				put(t, j, "other", test.journal...)
			}
			log, w := open(t, path, j, Options{MaxAge: test.maxAge})
			if err := Recover(t.Context(), log, w); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(events(all(t, j, "k3vq")), ", "); got != test.want {
				t.Errorf("the journal has %q, want %q", got, test.want)
			}
		})
	}
}

// A server that was away finds its place behind more than is looked at first, of the file and of the journal.
func TestThePlaceIsFoundFarBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	var lines []string
	for n, size := 0, 0; size < near+near/2; n++ {
		lines = append(lines, strings.Replace(line(n), `"open"`, `"refuse"`, 1)+strings.Repeat(" ", 4000))
		size += len(lines[n])
	}
	write(t, path, lines...)
	j, _ := openJournal(t, store.Retention{})
	put(t, j, "k3vq", lines[0])
	for range 1000 {
		put(t, j, "other", line(1))
	}
	log, w := open(t, path, j, Options{})
	if err := Recover(t.Context(), log, w); err != nil {
		t.Fatal(err)
	}
	if got := all(t, j, "k3vq"); !slices.Equal(got, lines) {
		t.Errorf("the journal has %d lines, want %d", len(got), len(lines))
	}
}

func TestAStoreThatComesBackLetsAStartGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "audit.jsonl")
		write(t, path, line(1))
		j, _ := openJournal(t, store.Retention{})
		troubled := &troubledJournal{Journal: j, troubles: []trouble{{store.ErrUnavailable, true}, {store.ErrUnavailable, false}}}
		log, w := open(t, path, troubled, Options{})
		if err := Recover(t.Context(), log, w); err != nil {
			t.Fatal(err)
		}
		if got := events(all(t, j, "k3vq")); !slices.Equal(got, []string{"open k3vq-1-1", "close k3vq-1-1"}) {
			t.Errorf("the journal has %q", got)
		}
	})
}

func TestAnOldFileThatCannotBeReadIsNoError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	write(t, path, line(1))
	if err := os.Mkdir(path+".1", 0o700); err != nil {
		t.Fatal(err)
	}
	j, _ := openJournal(t, store.Retention{})
	log, w := open(t, path, j, Options{})
	if err := Recover(t.Context(), log, w); err != nil {
		t.Fatal(err)
	}
	if got := events(all(t, j, "k3vq")); !slices.Equal(got, []string{"open k3vq-1-1", "close k3vq-1-1"}) {
		t.Errorf("the journal has %q", got)
	}
}

// What a start costs with 64 MiB of file that the journal has.
func BenchmarkRecover(b *testing.B) {
	path := filepath.Join(b.TempDir(), "audit.jsonl")
	var lines []string
	for n, size := 0, 0; size < 64<<20; n++ {
		lines = append(lines, strings.Replace(line(n), `"open"`, `"refuse"`, 1)+strings.Repeat(" ", 400))
		size += len(lines[n])
	}
	write(b, path, lines...)
	j, _ := openJournal(b, store.Retention{})
	put(b, j, "k3vq", lines[len(lines)-2:]...)
	log, w := open(b, path, j, Options{})
	b.SetBytes(64 << 20)
	for b.Loop() {
		if err := Recover(b.Context(), log, w); err != nil {
			b.Fatal(err)
		}
	}
}
