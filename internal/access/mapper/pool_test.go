//go:build unix

package mapper

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"jackfield"
	"jackfield/wire/mapper"
)

// eventually waits for a condition.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for limit := time.Now().Add(patience); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("%s never came", what)
		}
	}
}

func (f fixture) counts() (processes, ready int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.all), len(f.ready)
}

func (f fixture) warm(t *testing.T, want int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d processes that are ready", want), func() bool {
		_, ready := f.counts()
		return ready == want
	})
}

// ask asks many times at once and returns the programs' process ids, counted.
func (f fixture) ask(t *testing.T, times int) map[string]int {
	t.Helper()
	var mu sync.Mutex
	said := map[string]int{}
	var asking sync.WaitGroup
	for range times {
		asking.Go(func() {
			d := f.Decide(t.Context(), request())
			mu.Lock()
			defer mu.Unlock()
			if !d.Allow {
				t.Errorf("denied: %s", d.Reason)
			}
			said[d.Terms.Note]++
		})
	}
	asking.Wait()
	return said
}

func TestWarmProcessIsUsedAndReplaced(t *testing.T) {
	m := start(t, "pid", func(o *Options) { o.Warm = 2 })
	m.warm(t, 2)
	m.mu.Lock()
	first := m.ready[0].pid()
	m.mu.Unlock()
	if d := m.Decide(t.Context(), request()); d.Terms.Note != strconv.Itoa(first) {
		t.Errorf("process %s answered, %d stood ready", d.Terms.Note, first)
	}
	m.warm(t, 2)
}

func TestWarmProcessThatDiesIsReplaced(t *testing.T) {
	m := start(t, "pid", func(o *Options) { o.Warm = 1 })
	m.warm(t, 1)
	m.mu.Lock()
	pid := m.ready[0].pid()
	m.mu.Unlock()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another process", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return len(m.ready) == 1 && m.ready[0].pid() != pid
	})
	if !strings.Contains(m.log.String(), "ended before it was asked") {
		t.Errorf("the log does not tell of it:\n%s", m.log)
	}
}

// A program that ends at once is started for who asks, and ahead only now and then.
func TestBrokenProgramIsNotStartedWithoutEnd(t *testing.T) {
	begun := time.Now()
	m := start(t, "ends", func(o *Options) { o.Warm = 2 })
	for range 5 {
		if d := m.Decide(t.Context(), request()); d.Allow || !d.Failed {
			t.Errorf("got %+v", d)
		}
	}
	eventually(t, "an end of all processes", m.idle)
	m.mu.Lock()
	defer m.mu.Unlock()
	pauses := int(time.Since(begun) / firstRetry) // that may have ended meanwhile, on a slow machine
	if !m.pausing && pauses == 0 {
		t.Error("the next start is not waited for")
	}
	if n := strings.Count(m.log.String(), "cannot be started ahead"); n < 1 || n > 1+pauses {
		t.Errorf("%d lines tell of it, want 1, and one more for each of %d pauses at most:\n%s", n, pauses, m.log)
	}
}

func TestOneProcessPerQuestion(t *testing.T) {
	m := start(t, "pid")
	for pid, n := range m.ask(t, 20) {
		if n != 1 {
			t.Errorf("process %s answered %d questions", pid, n)
		}
	}
}

func TestBatch(t *testing.T) {
	m := start(t, "pid", func(o *Options) { o.Batch, o.MaxProcesses = 50, 1 })
	total := 0
	said := m.ask(t, 40)
	for _, n := range said {
		total += n
	}
	if total != 40 || len(said) > 10 {
		t.Errorf("%d questions were answered by %d processes", total, len(said))
	}
}

// Never more processes than are allowed, and every question gets its answer.
func TestMaxProcesses(t *testing.T) {
	m := start(t, "pid", func(o *Options) { o.MaxProcesses, o.Warm = 3, 2 })
	most := 0
	var asking sync.WaitGroup
	var mu sync.Mutex
	for range 30 {
		asking.Go(func() {
			d := m.Decide(t.Context(), request())
			processes, _ := m.counts()
			mu.Lock()
			defer mu.Unlock()
			most = max(most, processes)
			if !d.Allow {
				t.Errorf("denied: %s", d.Reason)
			}
		})
	}
	asking.Wait()
	if most > 3 {
		t.Errorf("%d processes", most)
	}
}

// Questions that share a process share its fate.
func TestBatchSharesFate(t *testing.T) {
	m := start(t, "exit 1", func(o *Options) { o.Batch, o.MaxProcesses = 10, 1 })
	var asking sync.WaitGroup
	for range 20 {
		asking.Go(func() {
			if d := m.Decide(t.Context(), request()); d.Allow {
				t.Error("allowed by a program that failed")
			}
		})
	}
	asking.Wait()
}

func TestQuestionThatIsWithdrawn(t *testing.T) {
	m := start(t, "silent", func(o *Options) { o.MaxProcesses = 1 })
	ctx, cancel := context.WithCancelCause(t.Context())
	said := make(chan jackfield.Decision)
	go func() { said <- m.Decide(ctx, request()) }()
	eventually(t, "a process", func() bool { n, _ := m.counts(); return n == 1 })
	cancel(fmt.Errorf("the client is gone"))
	if d := <-said; d.Allow || d.Reason != "the client is gone" {
		t.Errorf("got %+v", d)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.queue) != 0 {
		t.Errorf("%d questions wait", len(m.queue))
	}
}

// Who gives up at the moment at which the question is denied gets that denial.
func TestQuestionThatIsDeniedAndWithdrawn(t *testing.T) {
	m := start(t, "silent", func(o *Options) { o.MaxProcesses = 1 })
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 { // which of the two is noticed first is chance
		q := &question{at: time.Now(), answer: make(chan mapper.Answer, 1)}
		if err := m.enqueue(q); err != nil {
			t.Fatal(err)
		}
		m.mu.Lock()
		m.fail(1, errQueueFull)
		m.mu.Unlock()
		if answer := m.wait(gone, q); !errors.Is(answer.Err, errQueueFull) {
			t.Errorf("got %+v", answer)
		}
	}
}

func TestHungProcessIsKilled(t *testing.T) {
	m := start(t, "hangs", func(o *Options) { o.Timeout = 100 * time.Millisecond })
	if d := m.Decide(t.Context(), request()); d.Allow {
		t.Error("allowed")
	}
	eventually(t, "the end of the process", m.idle)
}

// As the protocol's document has it: a hung program is left alone, and it counts.
func TestHungProcessIsLeft(t *testing.T) {
	m := start(t, "silent", func(o *Options) {
		o.Timeout, o.LeaveHung, o.MaxProcesses = 100*time.Millisecond, true, 1
	})
	m.Decide(t.Context(), request())
	m.mu.Lock()
	var pid int
	for p := range m.all {
		pid = p.pid()
	}
	m.mu.Unlock()
	m.Decide(t.Context(), request())
	if processes, _ := m.counts(); processes != 1 {
		t.Errorf("%d processes, 1 is allowed", processes)
	}
	m.Close()
	if err := syscall.Kill(pid, 0); err != nil {
		t.Errorf("process %d: %v", pid, err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end of the process", m.idle)
}

func TestWhatAProgramLeavesEnds(t *testing.T) {
	m := start(t, "leaves a child")
	d := m.Decide(t.Context(), request())
	child, err := strconv.Atoi(d.Terms.Note)
	if !d.Allow || err != nil {
		t.Fatalf("got %+v", d)
	}
	eventually(t, "the end of the child", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", child))
		return err != nil || strings.Contains(string(stat), ") Z ")
	})
}

// A reload leaves a mapper alone whose options stay, and one that is retired still answers.
func TestTable(t *testing.T) {
	old := start(t, "pid", func(o *Options) { o.Warm = 1 })
	table := Table{Log: old.Mapper.log}
	table.Use([]*Mapper{old.Mapper})
	same, err := table.Get(old.given)
	if err != nil || same != old.Mapper {
		t.Fatalf("got another mapper, or %v", err)
	}
	changed := old.given
	changed.Timeout = time.Minute
	next, err := table.Get(changed)
	if err != nil || next == old.Mapper {
		t.Fatalf("got the same mapper, or %v", err)
	}
	old.warm(t, 1)
	table.Use([]*Mapper{next})
	fixture{next, old.log}.warm(t, 1)
	eventually(t, "the end of what stood ready", old.idle)
	if d := old.Decide(t.Context(), request()); !d.Allow {
		t.Errorf("the retired mapper denied: %s", d.Reason)
	}
	table.Close()
	if d := next.Decide(t.Context(), request()); d.Allow || d.Reason != errClosed.Error() {
		t.Errorf("after Close: %+v", d)
	}
}

func TestCloseDeniesWhoWaits(t *testing.T) {
	m := start(t, "silent", func(o *Options) { o.MaxProcesses = 1 })
	said := make(chan jackfield.Decision)
	go func() { said <- m.Decide(t.Context(), request()) }()
	eventually(t, "a process", func() bool { n, _ := m.counts(); return n == 1 })
	m.Close()
	if d := <-said; d.Allow || d.Reason != errClosed.Error() {
		t.Errorf("got %+v", d)
	}
}

func TestNice(t *testing.T) {
	own, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	m := start(t, "pid", func(o *Options) { o.Warm, o.Nice = 1, 7 })
	m.warm(t, 1)
	m.mu.Lock()
	pid := m.ready[0].pid()
	m.mu.Unlock()
	got, err := syscall.Getpriority(syscall.PRIO_PROCESS, pid)
	if want := min(niceness(own)+7, 19); err != nil || niceness(got) != want {
		t.Errorf("niceness %d, want %d (%v)", niceness(got), want, err)
	}
}
