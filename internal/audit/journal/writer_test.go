package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"jackfield/internal/store"
)

// A troubledJournal fails its next appends, before or after they took effect.
type troubledJournal struct {
	store.Journal

	mu       sync.Mutex
	troubles []trouble
	tries    []time.Time
}

type trouble struct {
	err     error
	written bool
}

func (j *troubledJournal) Append(ctx context.Context, record []byte) (uint64, error) {
	j.mu.Lock()
	j.tries = append(j.tries, time.Now())
	var now trouble
	if len(j.troubles) > 0 {
		now, j.troubles = j.troubles[0], j.troubles[1:]
	}
	j.mu.Unlock()
	if now.err == nil || now.written {
		if n, err := j.Journal.Append(ctx, record); now.err == nil {
			return n, err
		}
	}
	return 0, now.err
}

// A slowJournal appends when it is told to.
type slowJournal struct {
	store.Journal
	release chan struct{}
}

func (j *slowJournal) Append(ctx context.Context, record []byte) (uint64, error) {
	select {
	case <-j.release:
		return j.Journal.Append(ctx, record)
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func newWriter(t *testing.T, j store.Journal) *Writer {
	w := NewWriter(j, Options{Server: "k3vq", Log: quiet})
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		w.Close(ctx)
	})
	return w
}

func flush(t *testing.T, w *Writer) {
	t.Helper()
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestLinesThatWaitAreWrittenTogether(t *testing.T) {
	j, _ := openJournal(t, store.Retention{})
	slow := &slowJournal{j, make(chan struct{})}
	w := newWriter(t, slow)
	const lines = 3*maxBatch + 1
	var want []string
	for n := range lines {
		want = append(want, line(n))
		w.Add([]byte(line(n) + "\n"))
	}
	close(slow.release)
	flush(t, w)
	if got := all(t, j, "k3vq"); !slices.Equal(got, want) {
		t.Errorf("%d lines, want %d, or not in order", len(got), len(want))
	}
	// The goroutine may have taken a first batch before it was full.
	if _, last, err := j.Bounds(t.Context()); err != nil || last < 4 || last > 5 {
		t.Errorf("%d records: %v", last, err)
	}
}

// A line that comes alone is written at once, and those after it together; who flushes waits for nobody.
func TestLinesAreGathered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, _ := openJournal(t, store.Retention{})
		timed := &troubledJournal{Journal: j}
		w := NewWriter(timed, Options{Server: "k3vq", Log: quiet})
		began := time.Now()
		for n := range 4 {
			w.Add([]byte(line(n) + "\n"))
			time.Sleep(gatherTime / 3) // of the test's own clock
		}
		time.Sleep(2 * gatherTime)
		w.Add([]byte(line(4) + "\n"))
		w.Add([]byte(line(5) + "\n"))
		synctest.Wait()
		w.Add([]byte(line(6) + "\n"))
		flushed := time.Now()
		flush(t, w)
		if waited := time.Since(flushed); waited > 0 {
			t.Errorf("a flush took %v", waited)
		}
		if err := w.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(timed.tries) < 4 || !timed.tries[0].Equal(began) || timed.tries[1].Sub(began) != gatherTime {
			t.Errorf("records were written at %v, the first line came at %v", timed.tries, began)
		}
		if got := all(t, j, "k3vq"); len(got) != 7 {
			t.Errorf("%d lines are there, want 7", len(got))
		}
		if _, last, err := j.Bounds(t.Context()); err != nil || last > 5 {
			t.Errorf("%d records: %v", last, err)
		}
	})
}

func TestRecordsAreBoundedInBytes(t *testing.T) {
	j, _ := openJournal(t, store.Retention{})
	slow := &slowJournal{j, make(chan struct{})}
	w := newWriter(t, slow)
	for _, size := range []int{maxBatchBytes / 2, maxBatchBytes / 2, maxBatchBytes + 1, 10, store.MaxValue - 30, store.MaxValue} {
		w.Add(append(bytes.Repeat([]byte("x"), size-1), '\n'))
	}
	close(slow.release)
	flush(t, w)
	got := all(t, j, "k3vq")
	var sizes []int
	for _, line := range got[:len(got)-1] {
		sizes = append(sizes, len(line)+1)
	}
	if want := []int{maxBatchBytes / 2, maxBatchBytes / 2, maxBatchBytes + 1, 10, store.MaxValue - 30}; !slices.Equal(sizes, want) {
		t.Errorf("lines of %v bytes, want %v", sizes, want)
	}
	if last := got[len(got)-1]; !strings.Contains(last, `"event":"lost"`) || !strings.Contains(last, `"records":1}`) {
		t.Errorf("for the line that is too long there is %q", last)
	}
}

func TestWhatDoesNotFitIsCounted(t *testing.T) {
	for name, text := range map[string]string{
		"lines": "x\n",
		"bytes": strings.Repeat("x", 64<<10-1) + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			j, s := openJournal(t, store.Retention{})
			s.SetReachable(false)
			w := newWriter(t, j)
			const added = maxWaiting + 100
			for range added {
				w.Add([]byte(text))
			}
			w.mu.Lock()
			lines, size, lost := w.queue.lines, w.queue.bytes, w.queue.lost
			w.mu.Unlock()
			if lines > maxWaiting || size > maxWaitingBytes || lines+lost != added {
				t.Errorf("%d lines of %d bytes wait, %d are lost", lines, size, lost)
			}
			s.SetReachable(true)
			flush(t, w)
			w.Add([]byte("end\n"))
			flush(t, w)
			got := all(t, j, "k3vq")
			notice, end := got[len(got)-2], got[len(got)-1]
			if len(got) != lines+2 || !strings.Contains(notice, fmt.Sprintf(`"records":%d}`, lost)) || end != "end" {
				t.Errorf("%d lines, the last ones %.80q and %.80q", len(got), notice, end)
			}
		})
	}
}

func TestWritingIsTriedEverMoreSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, _ := openJournal(t, store.Retention{})
		troubled := &troubledJournal{Journal: j}
		for range 9 {
			troubled.troubles = append(troubled.troubles, trouble{err: store.ErrUnavailable})
		}
		var text bytes.Buffer
		w := NewWriter(troubled, Options{Server: "k3vq", Log: slog.New(slog.NewTextHandler(&text, nil))})
		w.Add([]byte("line\n"))
		flush(t, w)
		if err := w.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		var pauses []time.Duration
		for i, at := range troubled.tries[1:] {
			pauses = append(pauses, at.Sub(troubled.tries[i]))
		}
		want := []time.Duration{100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000}
		for i := range want {
			want[i] *= time.Millisecond
		}
		if !slices.Equal(pauses, want) {
			t.Errorf("pauses %v, want %v", pauses, want)
		}
		if got := all(t, j, ""); !slices.Equal(got, []string{"line"}) {
			t.Errorf("the journal has %q", got)
		}
		if failed, again := strings.Count(text.String(), "cannot be written"), strings.Count(text.String(), "can be written"); failed != 1 || again != 1 {
			t.Errorf("the log was told %d times of the failure and %d times of its end:\n%s", failed, again, &text)
		}
	})
}

// A write whose answer is lost may have happened, be it that others have written since.
func TestAWriteInDoubtHappensOnce(t *testing.T) {
	for name, troubles := range map[string][]trouble{
		"it happened":         {{store.ErrUnavailable, true}},
		"it did not happen":   {{store.ErrUnavailable, false}},
		"the second happened": {{store.ErrUnavailable, false}, {context.DeadlineExceeded, true}},
		"of one that failed":  {{errors.New("full"), false}, {errors.New("full"), false}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j, _ := openJournal(t, store.Retention{})
				for n := range 3 {
					put(t, j, "other", line(n))
				}
				troubled := &troubledJournal{Journal: j}
				w := newWriter(t, troubled)
				var want []string
				for n := range 5 {
					troubled.mu.Lock()
					troubled.troubles = slices.Clone(troubles)
					troubled.mu.Unlock()
					want = append(want, line(n))
					w.Add([]byte(line(n) + "\n"))
					synctest.Wait()
					for n := range 2 * chunk {
						put(t, j, "other", line(n))
					}
					flush(t, w)
				}
				if got := all(t, j, "k3vq"); !slices.Equal(got, want) {
					t.Errorf("the journal has\n%s", strings.Join(got, "\n"))
				}
			})
		})
	}
}

func TestARecordThatCannotBeStoredHoldsUpNothing(t *testing.T) {
	j, _ := openJournal(t, store.Retention{})
	w := newWriter(t, &troubledJournal{Journal: j, troubles: []trouble{{err: store.ErrInvalid}}})
	w.Add([]byte("bad\n"))
	flush(t, w)
	w.Add([]byte("good\n"))
	flush(t, w)
	got := all(t, j, "k3vq")
	if len(got) != 2 || !strings.Contains(got[0], `"event":"lost"`) || got[1] != "good" {
		t.Errorf("the journal has %q", got)
	}
}

func TestCloseEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, s := openJournal(t, store.Retention{})
		s.SetReachable(false)
		w := NewWriter(j, Options{Server: "k3vq", Log: quiet})
		for n := range 3 {
			w.Add([]byte(line(n) + "\n"))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		begin := time.Now()
		err := w.Close(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "3 lines") {
			t.Errorf("Close: %v", err)
		}
		if took := time.Since(begin); took != 3*time.Second {
			t.Errorf("Close took %s", took)
		}
		w.Add([]byte("late\n"))
		s.SetReachable(true)
		if err := w.Close(t.Context()); !errors.Is(err, errClosed) {
			t.Errorf("a second Close: %v", err)
		}
		if got := all(t, j, ""); len(got) != 0 {
			t.Errorf("the journal has %q", got)
		}
	})
}

func TestManyAddAtOnce(t *testing.T) {
	j, _ := openJournal(t, store.Retention{})
	w := newWriter(t, j)
	const goroutines, each = 8, 200
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for n := range each {
				w.Add(fmt.Appendf(nil, "%d %03d\n", g, n))
			}
			flush(t, w)
		})
	}
	wg.Wait()
	if err := w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := all(t, j, "k3vq")
	slices.Sort(got)
	if got = slices.Compact(got); len(got) != goroutines*each {
		t.Errorf("%d different lines, want %d", len(got), goroutines*each)
	}
}

func BenchmarkAdd(b *testing.B) {
	j, _ := openJournal(b, store.Retention{MaxBytes: 1 << 20})
	w := NewWriter(j, Options{Server: "k3vq", Log: quiet})
	defer w.Close(context.Background())
	text := []byte(line(1) + strings.Repeat(" ", 400) + "\n")
	b.ReportAllocs()
	for b.Loop() {
		w.Add(text)
	}
}
