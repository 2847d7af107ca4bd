package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"jackfield/internal/store"
	"jackfield/internal/store/memory"
)

// Whatever the pages, filter, damage and retention, all pages together are the lines that fit, in order, each once.
func TestPagesTogetherAreEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := memory.New()
		defer s.Close()
		retention := store.Retention{MaxBytes: rapid.SampledFrom([]int64{0, 2000}).Draw(t, "retention")}
		j, err := s.Journal(t.Context(), Name, retention)
		if err != nil {
			t.Fatal(err)
		}
		number := 0
		for range rapid.IntRange(0, 80).Draw(t, "records") {
			data := header{"k3vq"}.encode()
			for range rapid.IntRange(0, 4).Draw(t, "lines") {
				number++
				data = append(data, rapid.SampledFrom([]string{line(number), line(number), "damaged"}).Draw(t, "line")+"\n"...)
			}
			if rapid.IntRange(0, 9).Draw(t, "noise") == 0 {
				data = []byte("noise")
			}
			if _, err := j.Append(t.Context(), data); err != nil {
				t.Fatal(err)
			}
		}
		f := Filter{OldestFirst: rapid.Bool().Draw(t, "oldest first")}
		if rapid.Bool().Draw(t, "rare") {
			f.User = "u7"
		}
		var want []string
		for r, err := range oldestFirst(t.Context(), j, 0) {
			if err != nil {
				t.Fatal(err)
			}
			_, lines, _ := decode(r.Data)
			for _, l := range lines {
				if parsed, ok := parseLine(l); ok && f.matches(&parsed) {
					want = append(want, parsed.User)
				}
			}
		}
		if !f.OldestFirst {
			slices.Reverse(want)
		}
		var got []Record
		var next Cursor
		for range 2*number + 2 {
			page, err := NewReader(j).Query(t.Context(), f, next, rapid.IntRange(1, 7).Draw(t, "limit"))
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, page.Records...)
			if next = page.Next; next.IsZero() {
				break
			}
		}
		if !next.IsZero() || users(got) != strings.Join(want, " ") {
			t.Fatalf("got  %s (then %q)\nwant %s", users(got), next, want)
		}
	})
}

func TestARareFilterIsAskedForInBoundedSteps(t *testing.T) {
	for _, oldestFirst := range []bool{false, true} {
		t.Run(fmt.Sprintf("oldest first %v", oldestFirst), func(t *testing.T) {
			j, _ := openJournal(t, store.Retention{})
			text := line(1)
			for range 2*maxScan + 10 {
				put(t, j, "k3vq", text)
			}
			counted := &countingJournal{Journal: j}
			f := Filter{User: "nobody", OldestFirst: oldestFirst}
			var next Cursor
			var steps []int
			for {
				page, err := NewReader(counted).Query(t.Context(), f, next, 10)
				if err != nil || len(page.Records) != 0 || page.Damaged != 0 {
					t.Fatalf("page %+v: %v", page, err)
				}
				steps = append(steps, counted.records)
				counted.records = 0
				if next = page.Next; next.IsZero() {
					break
				}
			}
			if len(steps) != 3 || slices.Max(steps) > maxScan+chunk {
				t.Errorf("records that were read for each page: %v", steps)
			}
		})
	}
}

// A countingJournal counts the records that are read.
type countingJournal struct {
	store.Journal
	records int
}

func (j *countingJournal) Read(ctx context.Context, from uint64, limit int) ([]store.JournalRecord, error) {
	records, err := j.Journal.Read(ctx, from, limit)
	j.records += len(records)
	return records, err
}

func TestSinceReadsNoMoreThanItMust(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, _ := openJournal(t, store.Retention{})
		var since time.Time
		for n := range 1000 {
			if n == 900 {
				since = time.Now()
			}
			at := time.Now().UTC().Format(time.RFC3339)
			put(t, j, "k3vq", fmt.Sprintf(`{"event":"open","time":%q,"user":"u%d"}`, at, n))
			time.Sleep(time.Minute)
		}
		for _, oldestFirst := range []bool{false, true} {
			counted := &countingJournal{Journal: j}
			page, err := NewReader(counted).Query(t.Context(), Filter{Since: since, OldestFirst: oldestFirst}, Cursor{}, MaxPage)
			if err != nil || len(page.Records) != 100 || !page.Next.IsZero() {
				t.Errorf("%d lines, then %q: %v", len(page.Records), page.Next, err)
			}
			if counted.records > 100+2*chunk {
				t.Errorf("oldest first %v: %d records were read for 100 that fit", oldestFirst, counted.records)
			}
		}
	})
}

func TestACursorSurvivesRetention(t *testing.T) {
	j, s := openJournal(t, store.Retention{})
	for n := range 20 {
		put(t, j, "k3vq", line(n))
	}
	r := NewReader(j)
	oldest, err := r.Query(t.Context(), Filter{OldestFirst: true}, Cursor{}, 3)
	if err != nil {
		t.Fatal(err)
	}
	newest, err := r.Query(t.Context(), Filter{}, Cursor{}, 15)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = s.Journal(t.Context(), Name, store.Retention{MaxBytes: 500}); err != nil { // about five lines
		t.Fatal(err)
	}
	next, err := r.Query(t.Context(), Filter{OldestFirst: true}, oldest.Next, 100)
	if err != nil || len(next.Records) == 0 || len(next.Records) > 6 || next.Records[len(next.Records)-1].User != "u19" {
		t.Errorf("the oldest first goes on with %q: %v", users(next.Records), err)
	}
	next, err = r.Query(t.Context(), Filter{}, newest.Next, 100)
	if err != nil || len(next.Records) != 0 || !next.Next.IsZero() {
		t.Errorf("the newest first goes on with %q: %v", users(next.Records), err)
	}
}

func TestQueryRefuses(t *testing.T) {
	j, s := openJournal(t, store.Retention{})
	put(t, j, "k3vq", line(1))
	r := NewReader(j)
	if _, err := r.Query(t.Context(), Filter{Service: "["}, Cursor{}, 1); !errors.Is(err, ErrFilter) {
		t.Errorf("a bad filter: %v", err)
	}
	if _, err := r.Query(t.Context(), Filter{}, Cursor{2, 0}, 1); !errors.Is(err, ErrCursor) {
		t.Errorf("a cursor behind the end: %v", err)
	}
	if _, err := r.Follow(t.Context(), Filter{}, Cursor{1<<64 - 1, 0}); !errors.Is(err, ErrCursor) {
		t.Errorf("following from behind the end: %v", err)
	}
	s.SetReachable(false)
	if _, err := r.Query(t.Context(), Filter{}, Cursor{}, 1); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("while the store is away: %v", err)
	}
}

func TestWhatIsDamagedIsLeftOutAndCounted(t *testing.T) {
	j, _ := openJournal(t, store.Retention{})
	put(t, j, "k3vq", line(1), "{", line(2))
	for _, noise := range []string{"", "\n", "{}\n" + line(9) + "\n", "\xff\xfe", strings.Repeat("\n", 1000)} {
		if _, err := j.Append(t.Context(), []byte(noise)); err != nil {
			t.Fatal(err)
		}
	}
	put(t, j, "k3vq", line(3))
	page, err := NewReader(j).Query(t.Context(), Filter{}, Cursor{}, 100)
	if err != nil || users(page.Records) != "u3 u2 u1" || page.Damaged != 6 {
		t.Errorf("%q and %d damaged: %v", users(page.Records), page.Damaged, err)
	}
}

func TestFollow(t *testing.T) {
	j, s := openJournal(t, store.Retention{})
	put(t, j, "k3vq", line(1), line(2), line(3))
	r := NewReader(j)
	page, err := r.Query(t.Context(), Filter{OldestFirst: true}, Cursor{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	after, err := r.Follow(t.Context(), Filter{}, page.Next)
	if err != nil {
		t.Fatal(err)
	}
	defer after.Close()
	live, err := r.Follow(t.Context(), Filter{User: "u5"}, Cursor{})
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	put(t, j, "k3vq", line(4), "{", line(5))

	next := func(f *Follower) Record {
		t.Helper()
		record, err := f.Next()
		if err != nil {
			t.Fatal(err)
		}
		return record
	}
	var got []Record
	for range 4 {
		got = append(got, next(after))
	}
	if users(got) != "u2 u3 u4 u5" || after.Damaged() != 1 {
		t.Errorf("after the first: %q and %d damaged", users(got), after.Damaged())
	}
	if record := next(live); record.User != "u5" || record.Cursor != got[3].Cursor || record.Server != "k3vq" {
		t.Errorf("live: %+v", record)
	}
	s.SetReachable(false)
	if _, err := live.Next(); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("when the store goes away: %v", err)
	}
}

func TestFollowEndsWithItsContext(t *testing.T) {
	j, _ := openJournal(t, store.Retention{})
	ctx, cancel := context.WithCancel(t.Context())
	f, err := NewReader(j).Follow(ctx, Filter{}, Cursor{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cancel()
	if _, err := f.Next(); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
