package store_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"jackfield/internal/store"
	"jackfield/internal/store/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func fill(t testing.TB, entries map[string]string) *memory.Store {
	t.Helper()
	s := memory.New()
	t.Cleanup(func() { s.Close() })
	if err := store.CheckSchema(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	for key, value := range entries {
		if _, err := s.Create(t.Context(), key, []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func contents(t testing.TB, s store.Store) map[string]string {
	t.Helper()
	entries, err := s.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]string)
	for _, e := range entries {
		found[e.Key] = string(e.Value)
	}
	delete(found, "meta.schema")
	return found
}

func journalWith(t testing.TB, s store.Store, records ...string) store.Journal {
	t.Helper()
	j, err := s.Journal(t.Context(), "audit", store.Retention{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if _, err := j.Append(t.Context(), []byte(r)); err != nil {
			t.Fatal(err)
		}
	}
	return j
}

func backup(t testing.TB, s store.Store, extra store.Extra) []byte {
	t.Helper()
	var file bytes.Buffer
	if err := store.Backup(t.Context(), s, &file, extra); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func TestBackupAndRestore(t *testing.T) {
	saved := map[string]string{"user.ada": "1", "user.bob": "", "token.x": strings.Repeat("x", store.MaxValue)}
	s := fill(t, saved)
	many := make([]string, 200)
	for i := range many {
		many[i] = fmt.Sprint("record ", i)
	}
	file := backup(t, s, store.Extra{
		Files:    map[string][]byte{"ca.key": {0, 255}},
		Journals: map[string]store.Journal{"audit": journalWith(t, s, many...)},
	})

	other := fill(t, map[string]string{"user.ada": "1", "user.bob": "changed", "user.eve": "new"})
	w, err := other.Watch(t.Context(), "user.")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	journal := journalWith(t, other)
	files, err := store.Restore(t.Context(), other, bytes.NewReader(file), map[string]store.Journal{"audit": journal})
	if err != nil {
		t.Fatal(err)
	}
	if got := contents(t, other); !maps.Equal(got, saved) {
		t.Errorf("there are %d entries, not %d", len(got), len(saved))
	}
	if !bytes.Equal(files["ca.key"], []byte{0, 255}) || len(files) != 1 {
		t.Errorf("the files are %v", files)
	}
	records, err := journal.Read(t.Context(), 0, 1000)
	if err != nil || len(records) != len(many) || string(records[199].Data) != many[199] {
		t.Errorf("%d records (%v)", len(records), err)
	}
	var told []string
	for len(told) < 6 {
		c, err := w.Next()
		if err != nil {
			t.Fatal(err)
		}
		told = append(told, fmt.Sprintf("%s=%.7s deleted:%v synced:%v", c.Key, c.Value, c.Deleted, c.Synced))
	}
	want := "user.bob= deleted:false synced:false,user.eve= deleted:true synced:false"
	if got := strings.Join(told[4:], ","); got != want {
		t.Errorf("the watch told %s", got)
	}
}

func TestRestoreKeepsJournals(t *testing.T) {
	s := fill(t, nil)
	file := backup(t, s, store.Extra{Journals: map[string]store.Journal{"audit": journalWith(t, s, "old")}})
	other := fill(t, nil)
	j := journalWith(t, other, "new")
	if _, err := store.Restore(t.Context(), other, bytes.NewReader(file), map[string]store.Journal{"audit": j}); err != nil {
		t.Fatal(err)
	}
	if records, err := j.Read(t.Context(), 0, 10); err != nil || len(records) != 1 {
		t.Errorf("%v (%v)", records, err)
	}
}

func TestRestoreTruncated(t *testing.T) {
	file := backup(t, fill(t, map[string]string{"user.ada": "1", "user.bob": "2"}), store.Extra{})
	s := fill(t, map[string]string{"user.eve": "3"})
	before := contents(t, s)
	for n := range file {
		if _, err := store.Restore(t.Context(), s, bytes.NewReader(file[:n]), nil); !errors.Is(err, store.ErrBackup) {
			t.Errorf("%d bytes of %d: %v", n, len(file), err)
		}
	}
	if !maps.Equal(before, contents(t, s)) {
		t.Error("something was changed")
	}
}

func TestRestoreRefuses(t *testing.T) {
	const header = `{"format":"jackfield-backup","version":1,"schema":1,"time":"2026-11-22T11:12:00Z","entries":1}`
	for name, test := range map[string]struct{ text, want string }{
		"nothing":            {"", "line 1"},
		"another format":     {`{"format":"tar"}`, "does not begin as one"},
		"a later format":     {strings.Replace(header, `"version":1`, `"version":2`, 1), "version 2"},
		"a later schema":     {strings.Replace(header, `"schema":1`, `"schema":2`, 1), "newer Jackfield"},
		"too many entries":   {strings.Replace(header, `"entries":1`, `"entries":99999999`, 1), "entries"},
		"a key of one word":  {header + "\n" + `{"entry":"ada","value":""}`, "two or more words"},
		"a value too large":  {header + "\n" + `{"entry":"a.b","value":"` + strings.Repeat("AAAA", store.MaxValue/3+1) + `"}`, "are allowed"},
		"a line too long":    {header + "\n" + strings.Repeat("x", 2<<20), "too long"},
		"no known kind":      {header + "\n" + `{"value":""}`, "no known kind"},
		"an unknown field":   {header + "\n" + `{"entry":"a.b","evil":1}`, "unknown field"},
		"two kinds":          {header + "\n" + `{"entry":"a.b","file":"x","value":""}`, "no known kind"},
		"entries not sorted": {header + "\n" + `{"entry":"b.b","value":""}` + "\n" + `{"entry":"a.a","value":""}`, "is not behind"},
		"no end":             {header + "\n" + `{"entry":"a.b","value":""}`, "EOF"},
		"lines missing":      {header + "\n" + `{"lines":1,"sha256":""}`, "missing"},
		"a wrong checksum":   {header + "\n" + `{"entry":"a.b","value":""}` + "\n" + `{"lines":2,"sha256":"00"}`, "checksum"},
	} {
		s := fill(t, map[string]string{"user.eve": "3"})
		_, err := store.Restore(t.Context(), s, bytes.NewReader(zipped(test.text)), nil)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
		if len(contents(t, s)) != 1 {
			t.Errorf("%s: something was changed", name)
		}
	}
}

// Two backups, one behind the other, are none.
func TestRestoreRefusesMore(t *testing.T) {
	file := backup(t, fill(t, map[string]string{"user.ada": "1"}), store.Extra{})
	s := fill(t, map[string]string{"user.eve": "3"})
	_, err := store.Restore(t.Context(), s, bytes.NewReader(append(bytes.Clone(file), file...)), nil)
	if !errors.Is(err, store.ErrBackup) || !strings.Contains(err.Error(), "behind its end") || len(contents(t, s)) != 1 {
		t.Error(err)
	}
}

func TestBackupRefuses(t *testing.T) {
	s := fill(t, nil)
	for name, extra := range map[string]store.Extra{
		"a file that is too large": {Files: map[string][]byte{"x": make([]byte, store.MaxFile+1)}},
		"a file without a name":    {Files: map[string][]byte{"": nil}},
	} {
		if err := store.Backup(t.Context(), s, io.Discard, extra); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.Create(t.Context(), "user.ada", nil); err != nil {
		t.Fatal(err)
	}
	full := errors.New("full")
	if err := store.Backup(t.Context(), s, fullDisk{full}, store.Extra{}); !errors.Is(err, full) {
		t.Errorf("a disk that is full: %v", err)
	}
}

type fullDisk struct{ err error }

func (d fullDisk) Write([]byte) (int, error) { return 0, d.err }

func zipped(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(text))
	w.Close()
	return b.Bytes()
}

// FuzzRestore: what is refused changes nothing, and what is taken can be saved again.
func FuzzRestore(f *testing.F) {
	s := fill(f, map[string]string{"user.ada": "1"})
	r, err := gzip.NewReader(bytes.NewReader(backup(f, s, store.Extra{Files: map[string][]byte{"ca": {1}}})))
	if err != nil {
		f.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(text))
	f.Add(`{"format":"jackfield-backup","version":1,"schema":1}` + "\n" + `{"lines":1,"sha256":""}`)
	f.Fuzz(func(t *testing.T, text string) {
		s := fill(t, map[string]string{"user.eve": "3"})
		before := contents(t, s)
		_, err := store.Restore(t.Context(), s, bytes.NewReader(zipped(text)), nil)
		if err != nil && !maps.Equal(before, contents(t, s)) {
			t.Errorf("refused (%v), but changed", err)
		}
		if err == nil {
			backup(t, s, store.Extra{})
		}
	})
}
