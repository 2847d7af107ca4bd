package storetest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"jackfield/internal/store"
)

func journal(t *testing.T, s store.Store, name string, r store.Retention) store.Journal {
	t.Helper()
	j, err := s.Journal(brief(t), name, r)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func appendTo(t *testing.T, j store.Journal, data string) uint64 {
	t.Helper()
	n, err := j.Append(brief(t), []byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func wantRecords(t *testing.T, j store.Journal, from uint64, limit int, want ...string) {
	t.Helper()
	records, err := j.Read(brief(t), from, limit)
	if err != nil {
		t.Fatal(err)
	}
	var data []string
	last := uint64(0)
	for _, r := range records {
		data = append(data, string(r.Data))
		if r.Sequence <= last || r.Sequence < from {
			t.Errorf("record %d is after %d and from %d", r.Sequence, last, from)
		}
		last = r.Sequence
		wantRecent(t, r.Written)
	}
	if !slices.Equal(data, want) {
		t.Errorf("read %d from %d: %q, not %q", limit, from, data, want)
	}
}

func testJournal(t *testing.T, s store.Store) {
	j := journal(t, s, "audit", store.Retention{})
	if first, last, err := j.Bounds(brief(t)); err != nil || first <= last {
		t.Errorf("an empty journal goes from %d to %d (%v)", first, last, err)
	}
	wantRecords(t, j, 0, 10)
	a, b, c := appendTo(t, j, "a"), appendTo(t, j, ""), appendTo(t, j, "c")
	if !(0 < a && a < b && b < c) {
		t.Errorf("the numbers are %d, %d, %d", a, b, c)
	}
	if first, last, err := j.Bounds(brief(t)); err != nil || first != a || last != c {
		t.Errorf("it goes from %d to %d (%v), not from %d to %d", first, last, err, a, c)
	}
	wantRecords(t, j, 0, 10, "a", "", "c")
	wantRecords(t, j, 0, 2, "a", "")
	wantRecords(t, j, b, 2, "", "c")
	wantRecords(t, j, b+1, 2, "c")
	wantRecords(t, j, c+1, 2)
	wantRecords(t, j, 1<<63, 2)
	wantRecords(t, j, a, 0)
	wantRecords(t, j, a, -1)
	again := journal(t, s, "audit", store.Retention{})
	wantRecords(t, again, 0, 10, "a", "", "c")
}

func testFollow(t *testing.T, s store.Store) {
	j := journal(t, s, "audit", store.Retention{})
	second := uint64(0)
	for i := range 200 {
		n := appendTo(t, j, strconv.Itoa(i))
		if i == 1 {
			second = n
		}
	}
	r, err := j.Follow(brief(t), second)
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i < 210; i++ {
		if i >= 200 {
			appendTo(t, j, strconv.Itoa(i))
		}
		record, err := r.Next()
		if err != nil || string(record.Data) != strconv.Itoa(i) {
			t.Fatalf("record %d is %+v (%v)", i, record, err)
		}
		wantRecent(t, record.Written)
	}
	ended := make(chan error)
	go func() {
		_, err := r.Next()
		ended <- err
	}()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	wantErr(t, <-ended, context.Canceled)
}

func testJournalsApart(t *testing.T, s store.Store) {
	one, other := journal(t, s, "one", store.Retention{}), journal(t, s, "other", store.Retention{})
	appendTo(t, one, "1")
	appendTo(t, other, "2")
	create(t, s, "user.ada", "3")
	wantRecords(t, one, 0, 10, "1")
	wantRecords(t, other, 0, 10, "2")
	if entries, err := s.List(brief(t), ""); err != nil || len(entries) != 1 {
		t.Errorf("the entries are %v (%v)", entries, err)
	}
}

func testAppendTogether(t *testing.T, s store.Store) {
	ctx := brief(t)
	j := journal(t, s, "audit", store.Retention{})
	const each = 10
	var numbers [writers][]uint64
	together(func(i int) {
		for n := range each {
			number, err := j.Append(ctx, fmt.Appendf(nil, "%d/%d", i, n))
			if err != nil {
				t.Error(err)
			}
			numbers[i] = append(numbers[i], number)
		}
	})
	records, err := j.Read(ctx, 0, writers*each+1)
	if err != nil || len(records) != writers*each {
		t.Fatalf("there are %d records (%v)", len(records), err)
	}
	for i, own := range numbers {
		for n, number := range own {
			at := slices.IndexFunc(records, func(r store.JournalRecord) bool { return r.Sequence == number })
			if at < 0 || string(records[at].Data) != fmt.Sprintf("%d/%d", i, n) || n > 0 && own[n-1] >= number {
				t.Errorf("record %d of writer %d has number %d", n, i, number)
			}
		}
	}
}

func testRetentionAge(t *testing.T, s store.Store) {
	j := journal(t, s, "audit", store.Retention{MaxAge: time.Second})
	n := appendTo(t, j, "old")
	eventually(t, "the old record goes", func() bool {
		records, err := j.Read(brief(t), 0, 10)
		return err == nil && len(records) == 0
	})
	first, last, err := j.Bounds(brief(t))
	if err != nil || first <= last {
		t.Errorf("it goes from %d to %d (%v)", first, last, err)
	}
	if next := appendTo(t, j, "new"); next <= n {
		t.Errorf("number %d follows %d", next, n)
	}
}

func testRetentionBytes(t *testing.T, s store.Store) {
	const size, max = 10_000, 100_000
	j := journal(t, s, "audit", store.Retention{MaxBytes: max})
	last := uint64(0)
	for i := range 30 {
		last = appendTo(t, j, string(bytes.Repeat([]byte{byte(i)}, size)))
	}
	records, err := j.Read(brief(t), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(records); n < max/size/2 || n > max/size || records[n-1].Sequence != last {
		t.Fatalf("%d records are left", n)
	}
	if first, _, err := j.Bounds(brief(t)); err != nil || first != records[0].Sequence {
		t.Errorf("the oldest is %d, not %d (%v)", first, records[0].Sequence, err)
	}
	j = journal(t, s, "audit", store.Retention{MaxBytes: 2 * max})
	for range 30 {
		appendTo(t, j, string(make([]byte, size)))
	}
	if records, err = j.Read(brief(t), 0, 100); err != nil || len(records) <= max/size {
		t.Errorf("%d records are left with the larger limit (%v)", len(records), err)
	}
}

func testJournalInvalid(t *testing.T, s store.Store) {
	for _, name := range []string{"", "a.b", "a b", "*", ">", string(make([]byte, store.MaxName+1))} {
		_, err := s.Journal(brief(t), name, store.Retention{})
		wantErr(t, err, store.ErrInvalid)
	}
	j := journal(t, s, "audit", store.Retention{})
	_, err := j.Append(brief(t), make([]byte, store.MaxValue+1))
	wantErr(t, err, store.ErrInvalid)
	largest := bytes.Repeat([]byte{0xff}, store.MaxValue)
	if _, err := j.Append(brief(t), largest); err != nil {
		t.Fatal(err)
	}
	wantRecords(t, j, 0, 2, string(largest))
}

// eventually waits for what a store does on its own.
func eventually(t *testing.T, what string, met func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !met(); {
		if time.Now().After(deadline) {
			t.Fatalf("not in %s: %s", patience, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
