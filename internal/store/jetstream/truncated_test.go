package jetstream

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"jackfield/internal/store"
)

// A written is a state, and how long the newest block file was when it had been written.
type written struct {
	size  int64
	state map[string]string // of the entries; of the journal: the records
}

// cuts is how many bytes are cut off: what is about the sizes of headers, checksums and records, or all with $JACKFIELD_SOAK.
func cuts() []int64 {
	if os.Getenv("JACKFIELD_SOAK") == "" {
		return []int64{1, 8, 9, 22, 30, 64, 150, 201, 333, 511, 512}
	}
	var all []int64
	for n := range int64(512) {
		all = append(all, n+1)
	}
	return all
}

// After the end of the newest block file is lost, the store opens and has every record that lies wholly before the cut: its
// entries are those of that moment.
func TestTruncatedEntries(t *testing.T) {
	testTruncated(t, "KV_jackfield", func(t *testing.T, s *Store, done func(map[string]string)) {
		revisions, state := make(map[string]uint64), make(map[string]string)
		for n := range 60 {
			key, value := fmt.Sprintf("key.k%d", n%4%3), fmt.Sprint("value ", n)
			var err error
			switch {
			case revisions[key] == 0:
				revisions[key], err = s.Create(t.Context(), key, []byte(value))
			case n%7 == 0:
				err = s.Delete(t.Context(), key, revisions[key])
				value = ""
			default:
				revisions[key], err = s.Update(t.Context(), key, []byte(value), revisions[key])
			}
			if err != nil {
				t.Fatal(err)
			}
			state[key] = value
			if value == "" {
				delete(state, key)
				delete(revisions, key)
			}
			done(state)
		}
	}, func(t *testing.T, s *Store) map[string]string {
		entries, err := s.List(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		state := make(map[string]string)
		for _, e := range entries {
			state[e.Key] = string(e.Value)
		}
		return state
	})
}

func TestTruncatedJournal(t *testing.T) {
	testTruncated(t, "JOURNAL_jackfield_audit", func(t *testing.T, s *Store, done func(map[string]string)) {
		j, err := s.Journal(t.Context(), "audit", store.Retention{})
		if err != nil {
			t.Fatal(err)
		}
		state := make(map[string]string)
		for n := range 30 {
			number, err := j.Append(t.Context(), fmt.Append(nil, "record ", n))
			if err != nil {
				t.Fatal(err)
			}
			state[fmt.Sprint(number)] = fmt.Sprint("record ", n)
			done(state)
		}
	}, func(t *testing.T, s *Store) map[string]string {
		j, err := s.Journal(t.Context(), "audit", store.Retention{})
		if err != nil {
			t.Fatal(err)
		}
		records, err := j.Read(t.Context(), 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		state := make(map[string]string)
		for _, r := range records {
			state[fmt.Sprint(r.Sequence)] = string(r.Data)
		}
		return state
	})
}

func testTruncated(t *testing.T, stream string, write func(*testing.T, *Store, func(map[string]string)),
	read func(*testing.T, *Store) map[string]string) {
	t.Parallel()
	dir := t.TempDir()
	s := openDir(t, dir)
	history := []written{{0, map[string]string{}}}
	write(t, s, func(state map[string]string) {
		history = append(history, written{size(t, newestBlock(t, dir, stream)), maps.Clone(state)})
	})
	crashed := t.TempDir()
	copyDir(t, crashed, dir)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name, template := range map[string]string{"closed": dir, "crashed": crashed} {
		t.Run(name, func(t *testing.T) {
			for _, cut := range cuts() {
				checkCut(t, template, stream, cut, history, read)
			}
		})
	}
}

func checkCut(t *testing.T, template, stream string, cut int64, history []written, read func(*testing.T, *Store) map[string]string) {
	t.Helper()
	dir := t.TempDir()
	copyDir(t, dir, template)
	block := newestBlock(t, dir, stream)
	left := size(t, block) - cut
	if err := os.Truncate(block, left); err != nil {
		t.Fatal(err)
	}
	s := openDir(t, dir)
	defer s.Close()
	whole := slices.IndexFunc(history, func(w written) bool { return w.size > left })
	if got, want := read(t, s), history[whole-1].state; !maps.Equal(got, want) {
		t.Errorf("%d bytes were cut off, after which there is %v, not %v", cut, got, want)
	}
	if _, err := s.Create(t.Context(), "key.new", nil); err != nil {
		t.Errorf("%d bytes were cut off, after which nothing can be written: %v", cut, err)
	}
}

func newestBlock(t *testing.T, dir, stream string) string {
	t.Helper()
	blocks, err := filepath.Glob(filepath.Join(dir, "store", "jetstream", "*", "streams", stream, "msgs", "*.blk"))
	if err != nil || len(blocks) != 1 {
		t.Fatalf("the blocks are %q (%v)", blocks, err)
	}
	return blocks[0]
}

func size(t *testing.T, file string) int64 {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// copyDir copies files that others may be about to remove.
func copyDir(t *testing.T, to, from string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		target := filepath.Join(to, path[len(from):])
		if err == nil && d.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		var data []byte
		if err == nil {
			data, err = os.ReadFile(path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return os.WriteFile(target, data, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}
