package audit

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func closeLost(log *Log, server string) (closed int, err error) {
	for _, open := range log.Unclosed(server) {
		if err := log.CloseLost(open); err != nil {
			return closed, err
		}
		closed++
	}
	return closed, nil
}

func TestCloseLostClosesWhatIsOpenOnce(t *testing.T) {
	path, log := open(t, Options{MaxSize: 2000, Keep: 9})
	record := func(opened bool, id string) {
		t.Helper()
		if !opened {
			log.Closed(sample(id))
		} else if err := log.Opened(sample(id)); err != nil {
			t.Fatal(err)
		}
	}
	record(true, "k3vq-1-a") // never closed, in the oldest file
	for i := range 10 {
		record(true, fmt.Sprintf("k3vq-1-b%d", i))
		record(false, fmt.Sprintf("k3vq-1-b%d", i))
	}
	record(true, "k3vq-2-a")
	record(true, "k3v-1-a") // of other servers
	record(true, "k3vqx-1-a")
	record(false, "k3vq-1-z") // its open is forgotten
	log.Refused(sample("k3vq-2-b"))
	log.Close()

	sink := new(memory)
	log = openAt(t, path, Options{MaxSize: 2000, Keep: 9, Sink: sink})
	for want := range 2 {
		closed, err := closeLost(log, "k3vq")
		if err != nil || closed != 2*(1-want) {
			t.Fatalf("call %d closed %d sessions: %v", want+1, closed, err)
		}
	}
	var got []string
	for line := range strings.Lines(sink.text.String()) {
		e := parse(t, line)
		got = append(got, e.Event+" "+e.ID+" "+e.End)
		for _, field := range []string{`"user":"ada"`, `"service":"console.fpga-1"`, `"source":"192.0.2.7:4711"`,
			`"duration_seconds":0,"bytes_from_client":0,"bytes_from_service":0`} {
			if !strings.Contains(line, field) {
				t.Errorf("no %s in %s", field, line)
			}
		}
	}
	if want := "[close k3vq-1-a lost close k3vq-2-a lost]"; fmt.Sprint(got) != want {
		t.Errorf("lines %v, want %s", got, want)
	}
	if !strings.HasSuffix(read(t, path), sink.text.String()[strings.LastIndex(strings.TrimSpace(sink.text.String()), "\n")+1:]) {
		t.Error("the file does not end with what the sink was given")
	}
}

func TestCloseLostStopsWhereTheDiskIsFull(t *testing.T) {
	path, log := open(t, Options{})
	for _, id := range []string{"k3vq-1-a", "k3vq-1-b"} {
		if err := log.Opened(sample(id)); err != nil {
			t.Fatal(err)
		}
	}
	disk := breakDisk(log, 500) // for one line and a part of the next
	if closed, err := closeLost(log, "k3vq"); err == nil || closed != 1 {
		t.Fatalf("on a full disk %d sessions were closed: %v", closed, err)
	}
	disk.broken = false
	if closed, err := closeLost(log, "k3vq"); err != nil || closed != 1 {
		t.Fatalf("then %d sessions were closed: %v", closed, err)
	}
	if got := summary(t, path); got != "open k3vq-1-a, open k3vq-1-b, close k3vq-1-a, close k3vq-1-b" {
		t.Errorf("the file holds %q", got)
	}
}

func TestCloseLostOfDamagedFiles(t *testing.T) {
	line := func(event, id string) string {
		return `{"event":"` + event + `","time":"2026-01-01T00:00:00.000Z","id":"` + id + `","listener":"mux"}` + "\n"
	}
	for name, test := range map[string]struct {
		old, file string
		unusable  bool // the old file
		closed    string
	}{
		"nothing":             {},
		"noise":               {file: "\x00\x00\x00\nhello\n{}\n[\n" + line("open", "k-1-a") + "\xff\n", closed: "k-1-a"},
		"an open cut short":   {file: line("open", "k-1-a")[:40] + "\n" + line("open", "k-1-b"), closed: "k-1-b"},
		"broken JSON":         {file: strings.Replace(line("open", "k-1-a"), "mux", "m\x01x", 1) + line("open", "k-1-b"), closed: "k-1-b"},
		"fields of a refusal": {file: strings.Replace(line("open", "k-1-a"), `"listener"`, `"details"`, 1)},
		"id with an escape":   {file: line("open", `k-1-\u0061`)},
		"old file":            {old: line("open", "k-1-a"), file: line("open", "k-1-b"), closed: "k-1-a k-1-b"},
		"no old file":         {old: line("open", "k-1-a"), file: line("open", "k-1-b"), unusable: true, closed: "k-1-b"},
		"a line without end": {file: line("open", "k-1-a") + strings.Repeat("x", maxTail+1) + "\n" + line("close", "k-1-a"),
			old: line("open", "k-1-c")},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "audit.jsonl")
			if err := os.WriteFile(path, []byte(test.file), 0o600); err != nil {
				t.Fatal(err)
			}
			if test.unusable {
				if err := os.Mkdir(path+".1", 0o700); err != nil {
					t.Fatal(err)
				}
			} else if err := os.WriteFile(path+".1", []byte(test.old), 0o600); err != nil {
				t.Fatal(err)
			}
			sink := new(memory)
			log := openAt(t, path, Options{Sink: sink})
			if _, err := closeLost(log, "k"); err != nil {
				t.Fatal(err)
			}
			var ids []string
			for line := range strings.Lines(sink.text.String()) {
				ids = append(ids, parse(t, line).ID)
			}
			if got := strings.Join(ids, " "); got != test.closed {
				t.Errorf("closed %q, want %q", got, test.closed)
			}
		})
	}
}

func TestLinesReachBackAsFarAsTheWindow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	for i, text := range []string{"e\nf\n", "c\nd\n", "a\nb\n"} {
		name := path
		if i > 0 {
			name = fmt.Sprint(path, ".", i)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	log := openAt(t, path, Options{})
	for limit, want := range map[int64]string{1: "", 2: "f", 3: "f", 4: "ef", 6: "def", 9: "cdef", 10: "bcdef", 12: "abcdef", 99: "abcdef"} {
		var got strings.Builder
		for _, part := range log.file.parts(limit) {
			readPart(part, func(line []byte, err error) bool {
				got.WriteString(strings.TrimSpace(string(line)))
				return err == nil
			})
			part.file.Close()
		}
		if got.String() != want {
			t.Errorf("%d bytes hold %q, want %q", limit, got.String(), want)
		}
	}
}

func TestRestoreTellsTheFileOnly(t *testing.T) {
	sink := new(memory)
	path, log := open(t, Options{Sink: sink})
	if err := log.Restore([]byte("line\n")); err != nil {
		t.Fatal(err)
	}
	if read(t, path) != "line\n" || sink.text.Len() != 0 {
		t.Errorf("the file has %q, the sink %q", read(t, path), sink.text.String())
	}
}

func FuzzParseHead(f *testing.F) {
	f.Add([]byte(`{"event":"open","time":"2026-01-01T00:00:00.000Z","id":"k-1-a"}`))
	f.Add(LostLine(3))
	f.Add([]byte(`{"event":"`))
	f.Fuzz(func(t *testing.T, line []byte) {
		h, ok := ParseHead(line)
		if !ok {
			return
		}
		again := fmt.Appendf(nil, `{"event":"%s","time":"%s"`, h.Event, h.Time)
		if len(h.ID) > 0 {
			again = fmt.Appendf(again, `,"id":"%s"`, h.ID)
		}
		if !bytes.HasPrefix(line, again) {
			t.Errorf("%q is read as %q", line, again)
		}
	})
}

func TestHeadIsOfItsServer(t *testing.T) {
	for id, want := range map[string]bool{"k3vq-1-a": true, "k3vq-": true, "k3vq": false, "k3vqq-1-a": false, "": false, "x-k3vq-1": false} {
		if got := (Head{ID: []byte(id)}).IsOf("k3vq"); got != want {
			t.Errorf("%q: %v", id, got)
		}
	}
}

// The server waits for it when it starts.
func BenchmarkCloseLost(b *testing.B) {
	path := filepath.Join(b.TempDir(), "audit.jsonl")
	log := openAt(b, path, Options{})
	size := int64(0)
	for i := 0; log.file.size < 64<<20; i++ {
		if err := log.Opened(sample(fmt.Sprint("k-1-", i))); err != nil {
			b.Fatal(err)
		}
		log.Closed(sample(fmt.Sprint("k-1-", i)))
		size = log.file.size
	}
	b.SetBytes(size)
	for b.Loop() {
		if closed, err := closeLost(log, "k"); closed != 0 || err != nil {
			b.Fatal(closed, err)
		}
	}
}
