package audit

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestRotationUnderConcurrentWritersLosesNothing(t *testing.T) {
	path, log := open(t, Options{MaxSize: 4 << 10, Keep: 1000})
	const writers, each = 8, 100
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if err := log.Opened(sample(fmt.Sprintf("%d-%d", w, i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	files, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, file := range files {
		for _, line := range readLines(t, file) {
			ids[parse(t, line).ID] = true
		}
		if size := len(read(t, file)); size > 4<<10 {
			t.Errorf("%s has %d bytes", file, size)
		}
	}
	if len(files) < 20 || len(ids) != writers*each {
		t.Errorf("%d records in %d files, want %d", len(ids), len(files), writers*each)
	}
}

func TestOnlyTheNewestFilesAreKept(t *testing.T) {
	path, log := open(t, Options{MaxSize: 1, Keep: 3})
	for i := range 10 {
		if err := log.Opened(sample(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	for file, want := range map[string]string{
		path: "open 9", path + ".1": "open 8", path + ".2": "open 7", path + ".3": "open 6",
	} {
		if got := summary(t, file); got != want {
			t.Errorf("%s holds %q, want %q", file, got, want)
		}
	}
	if files, _ := filepath.Glob(path + "*"); len(files) != 4 {
		t.Errorf("files: %v", files)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the new file: %v, %v", info.Mode(), err)
	}
}

func TestAFailedRotationLosesNothingAndIsTriedAgain(t *testing.T) {
	for name, inTheWay := range map[string]string{"no new file": ".new", "no place for the old file": ".1"} {
		t.Run(name, func(t *testing.T) {
			var text bytes.Buffer
			path, log := open(t, Options{MaxSize: 1 << 10, Keep: 1, Log: slog.New(slog.NewTextHandler(&text, nil))})
			obstacle := path + inTheWay
			if err := os.MkdirAll(filepath.Join(obstacle, "full"), 0o700); err != nil {
				t.Fatal(err)
			}
			const records = 20
			var want []string
			for i := range records {
				if err := log.Opened(sample(fmt.Sprint(i))); err != nil {
					t.Fatal(err)
				}
				want = append(want, fmt.Sprint("open ", i))
			}
			if got := summary(t, path); got != strings.Join(want, ", ") {
				t.Errorf("the file holds %q", got)
			}
			if n := strings.Count(text.String(), "cannot be rotated"); n == 0 {
				t.Error("nothing was logged")
			}

			if err := os.RemoveAll(obstacle); err != nil {
				t.Fatal(err)
			}
			if err := log.Opened(sample("after")); err != nil {
				t.Fatal(err)
			}
			if got := summary(t, path); got != "open after" {
				t.Errorf("the new file holds %q", got)
			}
			if got := summary(t, path+".1"); got != strings.Join(want, ", ") {
				t.Errorf("the old file holds %q", got)
			}
		})
	}
}

// A lasting fault must not push one old file after another off the end.
func TestAFailedRotationDropsNoOldFile(t *testing.T) {
	path, log := open(t, Options{MaxSize: 1, Keep: 3})
	for i := range 3 {
		if err := log.Opened(sample(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(path); err != nil { // so that it cannot be renamed
		t.Fatal(err)
	}
	for range 10 {
		if err := log.Opened(sample("unseen")); err != nil {
			t.Fatal(err)
		}
	}
	var kept []string
	for i := range 4 {
		if exists(log.file.old(i)) {
			kept = append(kept, summary(t, log.file.old(i)))
		}
	}
	if got := strings.Join(kept, "; "); got != "open 1; open 0" {
		t.Errorf("kept: %q", got)
	}
}
