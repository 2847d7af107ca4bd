package jetstream

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"jackfield/internal/store"
)

// killings is 10; $JACKFIELD_SOAK makes it 100, and $JACKFIELD_KILLINGS what it says.
func killings(t *testing.T) int {
	n := "10"
	if os.Getenv("JACKFIELD_SOAK") != "" {
		n = "100"
	}
	times, err := strconv.Atoi(cmp.Or(os.Getenv("JACKFIELD_KILLINGS"), n))
	if err != nil {
		t.Fatal(err)
	}
	return times
}

// What was acknowledged before a SIGKILL is there after it.
func TestKilledInWriteLoop(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var last uint64
	for range killings(t) {
		last = writeAndKill(t, dir, 1+rand.IntN(20))
		checkWritten(t, dir, last)
		if t.Failed() {
			t.FailNow()
		}
	}
	t.Logf("%d writes were acknowledged", last)
}

// writeAndKill kills a child after it has acknowledged some writes, and returns the last one.
func writeAndKill(t *testing.T, dir string, writes int) (last uint64) {
	t.Helper()
	cmd := child(t, dir, 1<<30)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	next := acknowledged(out)
	for range writes {
		n, ok := next()
		if !ok {
			t.Fatal("the child has ended")
		}
		last = n
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	for { // what it had said before that
		n, ok := next()
		if !ok {
			break
		}
		last = n
	}
	cmd.Wait() // it was killed
	return last
}

// checkWritten opens the store: all writes up to the last must be there, and the one after it may be.
func checkWritten(t *testing.T, dir string, last uint64) {
	t.Helper()
	s := openDir(t, dir)
	defer s.Close()
	j, err := s.Journal(t.Context(), "audit", store.Retention{})
	if err != nil {
		t.Fatal(err)
	}
	var records []store.JournalRecord
	answered(t, func() error {
		records, err = j.Read(t.Context(), 0, int(last)+10)
		return err
	})
	if err != nil || len(records) < int(last) || len(records) > int(last)+1 {
		t.Fatalf("of %d records %d are there (%v)", last, len(records), err)
	}
	for i, r := range records {
		if want := token(uint64(i + 1)); string(r.Data) != want {
			t.Fatalf("record %d is %q", i+1, r.Data)
		}
	}
	for n := last; n > 0 && n+keys > last; n-- {
		checkEntry(t, s, n, last)
	}
}

// answered asks until the store has had the time for an answer.
func answered(t *testing.T, ask func() error) {
	t.Helper()
	eventually(t, "an answer of the store", func() bool { return !errors.Is(ask(), store.ErrUnavailable) })
}

func checkEntry(t *testing.T, s *Store, n, last uint64) {
	t.Helper()
	var e store.Entry
	var err error
	answered(t, func() error {
		e, err = s.Get(t.Context(), "key.k"+strconv.FormatUint(n%keys, 10))
		return err
	})
	got := string(e.Value)
	if n+keys == last+1 && (got == token(last+1) || isDeletion(last+1) && errors.Is(err, store.ErrNotFound)) {
		return // written, but not acknowledged
	}
	if isDeletion(n) {
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("write %d was a deletion, but there is %q (%v)", n, got, err)
		}
		return
	}
	if err != nil || got != token(n) {
		t.Errorf("write %d of %d: there is %q (%v)", n, last, got, err)
	}
}
