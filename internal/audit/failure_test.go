package audit

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/time/rate"

	"jackfield"
)

// A brokenDisk writes at most room bytes and then has no space left; it may refuse to truncate, too.
type brokenDisk struct {
	*os.File
	broken  bool
	room    int
	growing bool // the file may only grow
}

func (d *brokenDisk) Write(p []byte) (int, error) {
	if !d.broken || len(p) <= d.room {
		if d.broken {
			d.room -= len(p)
		}
		return d.File.Write(p)
	}
	n, err := d.File.Write(p[:d.room])
	d.room = 0
	return n, errors.Join(err, syscall.ENOSPC)
}

func (d *brokenDisk) Truncate(size int64) error {
	if d.growing {
		return syscall.EPERM
	}
	return d.File.Truncate(size)
}

// breakDisk lets the next write but room bytes fail.
func breakDisk(log *Log, room int) *brokenDisk {
	disk := &brokenDisk{File: log.file.file.(*os.File), broken: true, room: room}
	log.file.file = disk
	return disk
}

func TestWhatCannotBeRecordedIsRefused(t *testing.T) {
	path, log := open(t, Options{})
	disk := breakDisk(log, 0)
	refusal, is := errors.AsType[*jackfield.Error](log.Opened(sample("1")))
	if !is || refusal.Kind != jackfield.Internal || refusal.By != "audit" || !errors.Is(refusal, syscall.ENOSPC) {
		t.Fatalf("Opened on a full disk: %+v", refusal)
	}
	disk.broken = false
	if err := log.Opened(sample("2")); err != nil {
		t.Fatalf("Opened once there is space again: %v", err)
	}
	if got := summary(t, path); got != "open 2" {
		t.Errorf("the file holds %q", got)
	}
}

func TestAFullDiskLeavesWholeLines(t *testing.T) {
	for _, room := range []int{0, 1, 100, 300} {
		t.Run(fmt.Sprintf("%d bytes left", room), func(t *testing.T) {
			path, log := open(t, Options{})
			if err := log.Opened(sample("1")); err != nil {
				t.Fatal(err)
			}
			disk := breakDisk(log, room)
			log.Closed(sample("1"))
			if got := summary(t, path); got != "open 1" {
				t.Errorf("while the disk is full, the file holds %q", got)
			}
			disk.broken = false
			log.Refused(sample("2"))
			if got := summary(t, path); got != "open 1, close 1, refuse 2" {
				t.Errorf("afterwards the file holds %q", got)
			}
		})
	}
}

func TestAFileThatMayOnlyGrowGetsItsBrokenLineEnded(t *testing.T) {
	path, log := open(t, Options{})
	disk := breakDisk(log, 50)
	disk.growing = true
	log.Closed(sample("1"))
	disk.broken = false
	log.Closed(sample("2"))
	lines := readLines(t, path)
	if len(lines) != 3 || parse(t, lines[1]).ID != "1" || parse(t, lines[2]).ID != "2" {
		t.Errorf("the file holds %q", lines)
	}
}

func TestDevFull(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Skip("this system has no /dev/full")
	}
	defer full.Close()
	path, log := open(t, Options{})
	disk := log.file.file
	log.file.file = full
	if err := log.Opened(sample("1")); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("Opened: %v, want %v", err, syscall.ENOSPC)
	}
	log.Refused(sample("1"))
	log.file.file = disk
	if err := log.Opened(sample("2")); err != nil {
		t.Fatal(err)
	}
	if got := summary(t, path); got != "refuse 1, open 2" {
		t.Errorf("the file holds %q", got)
	}
}

func TestWhatDoesNotFitIsCounted(t *testing.T) {
	path, log := open(t, Options{})
	log.refusals = rate.NewLimiter(rate.Inf, 0) // the queue is what is tested
	disk := breakDisk(log, 0)
	const refusals, closes = 2000, 600
	for range refusals {
		log.Refused(sample("r"))
	}
	for range closes {
		log.Closed(sample("c"))
	}
	if n := len(log.waiting.lines); n > maxWaiting || log.waiting.bytes > maxWaitingBytes {
		t.Errorf("%d lines of %d bytes wait", n, log.waiting.bytes)
	}
	disk.broken = false
	if err := log.Opened(sample("o")); err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	var order []string
	for _, line := range readLines(t, path) {
		e := parse(t, line)
		count[e.Event]++
		count["missing"] += e.Records
		order = append(order, e.Event)
	}
	if count["refuse"] != maxWaiting/2 || count["close"] != maxWaiting/2 {
		t.Errorf("kept: %v", count)
	}
	if count["refuse"]+count["close"]+count["missing"] != refusals+closes {
		t.Errorf("%v do not add up to %d", count, refusals+closes)
	}
	if end := order[len(order)-2:]; end[0] != EventLost || end[1] != eventOpen {
		t.Errorf("the last lines are %v", end)
	}
	if log.waiting.count() != 0 || log.waiting.bytes != 0 {
		t.Errorf("left in the queue: %d records, %d bytes", log.waiting.count(), log.waiting.bytes)
	}
}

func TestTheQueueIsBoundedInBytes(t *testing.T) {
	var q queue
	line := bytes.Repeat([]byte("x"), maxWaitingBytes/4)
	for range 10 {
		q.add(line, false)
	}
	if len(q.lines) != 4 || q.lost != 6 {
		t.Errorf("%d lines wait, %d are lost", len(q.lines), q.lost)
	}
}

func TestTheServerLogIsToldOnce(t *testing.T) {
	var text bytes.Buffer
	_, log := open(t, Options{Log: slog.New(slog.NewTextHandler(&text, nil))})
	for range 2 {
		disk := breakDisk(log, 0)
		for range 5 {
			log.Closed(sample("1"))
		}
		log.file.file = disk.File
		for range 5 {
			log.Closed(sample("1"))
		}
	}
	failed := strings.Count(text.String(), "cannot be written")
	again := strings.Count(text.String(), "can be written again")
	if failed != 2 || again != 2 {
		t.Errorf("two failures were logged %d times, their ends %d times:\n%s", failed, again, &text)
	}
}

func TestCloseWritesWhatWaitsOrSaysWhatIsLost(t *testing.T) {
	path, log := open(t, Options{})
	disk := breakDisk(log, 0)
	log.Closed(sample("1"))
	disk.broken = false
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if got := summary(t, path); got != "close 1" {
		t.Errorf("the file holds %q", got)
	}

	_, log = open(t, Options{})
	breakDisk(log, 0)
	log.Closed(sample("1"))
	log.Closed(sample("2"))
	if err := log.Close(); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "2 records are lost") {
		t.Errorf("Close on a full disk: %v", err)
	}
}

// summary is the events and ids of a file of whole JSON lines.
func summary(t *testing.T, path string) string {
	t.Helper()
	var words []string
	for _, line := range readLines(t, path) {
		e := parse(t, line)
		words = append(words, e.Event+" "+e.ID)
	}
	return strings.Join(words, ", ")
}

// A flood of refusals is counted, not recorded, and leaves the sessions' records alone.
func TestRefusalsBeyondTheRateAreCounted(t *testing.T) {
	path, log := open(t, Options{})
	log.refusals = rate.NewLimiter(0, 2)
	for range 5 {
		log.Refused(sample("r"))
	}
	if err := log.Opened(sample("1")); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(content)
	if n := strings.Count(text, `"event":"refuse"`); n != 2 {
		t.Errorf("%d refusals are recorded, want 2", n)
	}
	if !strings.Contains(text, `"event":"suppressed"`) || !strings.Contains(text, `"records":3}`) || !strings.Contains(text, `"event":"open"`) {
		t.Errorf("the file holds\n%s", text)
	}
}
