package jetstream

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"jackfield/test/live"
)

// Every acknowledged write is preceded by an fsync of its file. The default of nats-server is to sync every two minutes.
func TestAcknowledgedIsSynced(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		live.Missing(t, "strace", "install Debian's package strace")
	}
	const writes = 30
	dir, trace := t.TempDir(), filepath.Join(t.TempDir(), "trace")
	cmd := child(t, dir, writes, "strace", "-f", "-y", "-s", "100000", "-o", trace,
		"-e", "trace=write,pwrite64,writev,pwritev,pwritev2,fsync,fdatasync")
	if out, err := cmd.Output(); err != nil || strings.Count(string(out), "\n") != writes {
		t.Fatalf("the child said %q (%v)", out, err)
	}
	file, err := os.Open(trace)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	c, err := checkTrace(file)
	if err != nil {
		t.Fatal(err)
	}
	if c.acknowledged != writes || len(c.unsynced) > 0 {
		t.Errorf("%d writes were acknowledged, of them not synced: %q", c.acknowledged, c.unsynced)
	}
}

// A traceCheck follows the tokens of writes through the system calls.
type traceCheck struct {
	unfinished   map[string]string   // by process, the beginning of a call that strace has printed
	dirty        map[string][]string // by file, tokens written since the last sync began
	syncing      map[string]syncCall // by process
	synced       map[string]int      // in how many files a token is safe
	acknowledged int
	unsynced     []string
}

type syncCall struct {
	file   string
	tokens []string // that were written when it began
}

var (
	traceLine  = regexp.MustCompile(`^(\d+) +(.*)$`)
	resumed    = regexp.MustCompile(`^<\.\.\. \w+ resumed>(.*)$`)
	tracedCall = regexp.MustCompile(`^(\w+)\(\d+<([^>]*)>(.*)$`)
	succeeded  = regexp.MustCompile(`\) += (\d+)$`)
	tokens     = regexp.MustCompile(`write-\d{8}`)
)

// Each write of the child is in two files: that of the entries, unless it is a deletion, and that of the journal.
func checkTrace(r io.Reader) (*traceCheck, error) {
	c := &traceCheck{
		unfinished: make(map[string]string),
		dirty:      make(map[string][]string),
		syncing:    make(map[string]syncCall),
		synced:     make(map[string]int),
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		m := traceLine.FindStringSubmatch(lines.Text())
		if m == nil {
			return nil, fmt.Errorf("strace has printed %q", lines.Text())
		}
		if err := c.event(m[1], m[2]); err != nil {
			return nil, err
		}
	}
	return c, lines.Err()
}

// event takes a line about a process: a call, its beginning, or its end. A write counts when it begins, a sync when it ends.
func (c *traceCheck) event(process, text string) error {
	if strings.HasPrefix(text, "---") || strings.HasPrefix(text, "+++") {
		return nil
	}
	if begin, ok := strings.CutSuffix(text, " <unfinished ...>"); ok {
		c.unfinished[process] = begin
		return c.begin(process, begin)
	}
	if m := resumed.FindStringSubmatch(text); m != nil {
		begin, ok := c.unfinished[process]
		if !ok {
			return fmt.Errorf("%s ends what it has not begun: %q", process, text)
		}
		delete(c.unfinished, process)
		c.end(process, begin+m[1])
		return nil
	}
	if err := c.begin(process, text); err != nil {
		return err
	}
	c.end(process, text)
	return nil
}

func (c *traceCheck) begin(process, text string) error {
	m := tracedCall.FindStringSubmatch(text)
	if m == nil {
		return fmt.Errorf("%s: no call is %q", process, text)
	}
	call, file, rest := m[1], m[2], m[3]
	switch {
	case strings.HasSuffix(call, "sync"):
		c.syncing[process] = syncCall{file, c.dirty[file]}
		delete(c.dirty, file)
	case strings.HasSuffix(file, ".blk"):
		c.dirty[file] = append(c.dirty[file], tokens.FindAllString(rest, -1)...)
	case strings.HasPrefix(file, "pipe:"):
		for _, token := range tokens.FindAllString(rest, -1) {
			c.acknowledge(token)
		}
	}
	return nil
}

func (c *traceCheck) end(process, text string) {
	s, ok := c.syncing[process]
	if !ok {
		return
	}
	delete(c.syncing, process)
	if succeeded.MatchString(text) {
		for _, token := range s.tokens {
			c.synced[token]++
		}
		return
	}
	c.dirty[s.file] = append(c.dirty[s.file], s.tokens...)
}

func (c *traceCheck) acknowledge(token string) {
	c.acknowledged++
	want := 2
	var n uint64
	if fmt.Sscanf(token, "write-%d", &n); isDeletion(n) {
		want = 1
	}
	if c.synced[token] != want {
		c.unsynced = append(c.unsynced, token)
	}
}

func TestTraceCheckBites(t *testing.T) {
	const (
		entries = `7 write(3</d/1.blk>, "x write-00000001 y", 18) = 18` + "\n"
		journal = `8 pwrite64(4</d/2.blk>, "write-00000001", 14, 0) = 14` + "\n"
		ack     = `9 write(1<pipe:[5]>, "write-00000001\n", 15) = 15` + "\n"
		sync3   = `7 fsync(3</d/1.blk>) = 0` + "\n"
		sync4   = `8 fdatasync(4</d/2.blk>) = 0` + "\n"
	)
	for name, test := range map[string]struct {
		trace string
		fine  bool
	}{
		"synced":        {entries + sync3 + journal + sync4 + ack, true},
		"interleaved":   {entries + "7 fsync(3</d/1.blk> <unfinished ...>\n" + journal + "7 <... fsync resumed>) = 0\n" + sync4 + ack, true},
		"not synced":    {entries + journal + sync4 + ack, false},
		"another file":  {entries + journal + sync4 + sync4 + ack, false},
		"synced before": {sync3 + entries + journal + sync4 + ack, false},
		"acknowledged too early": {entries + journal + sync4 + "7 fsync(3</d/1.blk> <unfinished ...>\n" + ack +
			"7 <... fsync resumed>) = 0\n", false},
		"written meanwhile": {"7 fsync(3</d/1.blk> <unfinished ...>\n" + entries[:0] + `6 write(3</d/1.blk>, "write-00000001", 14) = 14` + "\n" +
			"7 <... fsync resumed>) = 0\n" + journal + sync4 + ack, false},
		"a sync that failed": {entries + "7 fsync(3</d/1.blk>) = -1 EIO (Input/output error)\n" + journal + sync4 + ack, false},
	} {
		c, err := checkTrace(strings.NewReader(test.trace))
		if err != nil || c.acknowledged != 1 || (len(c.unsynced) == 0) != test.fine {
			t.Errorf("%s: %+v (%v)", name, c, err)
		}
	}
}
