//go:build unix

package server

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"

	"jackfield/internal/config"
)

// mount makes the directory of a Kubernetes volume: each file is a link through ..data, which is replaced as one. The
// directory holds what a server reads, and the link "entry" leads to it from elsewhere.
func mount(t *testing.T) (dir string) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"volume/ts1", "volume/ts2", "outside"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"volume/ts1/j.hcl", "volume/ts2/j.hcl", "outside/j.hcl", "outside/secret"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{
		"volume/..data": "ts1",
		"volume/j.hcl":  "..data/j.hcl",
		"entry":         filepath.Join(dir, "volume"),
		"volume/secret": "../outside/secret",
		"volume/loop":   "loop/loop",
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestPlaces(t *testing.T) {
	dir := mount(t)
	in := func(names ...string) []string {
		for i := range names {
			names[i] = filepath.Join(dir, names[i])
		}
		return names
	}
	p := findPlaces(&config.Config{Watch: true, Files: in("entry/j.hcl", "entry/secret", "entry/gone"), Dirs: in("entry")})
	want := in("entry", "outside/secret", "volume/..data", "volume/gone", "volume/j.hcl", "volume/secret", "volume/ts1/j.hcl")
	if !slices.Equal(p.names, want) {
		t.Errorf("names are %q, want %q", p.names, want)
	}
	if want := in("", "outside", "volume", "volume/ts1"); !slices.Equal(p.directories, want) {
		t.Errorf("directories are %q, want %q", p.directories, want)
	}
	if loop := findPlaces(&config.Config{Watch: true, Files: in("volume/loop")}); !loop.has(filepath.Join(dir, "volume/loop")) {
		t.Errorf("a link to itself: %+v", loop)
	}
	if none := findPlaces(&config.Config{Files: in("entry/j.hcl")}); len(none.directories) > 0 {
		t.Errorf("not to be watched, but there are %+v", none)
	}
}

func TestChangesThroughLinks(t *testing.T) {
	swap := func(link, target string) func(dir string) error {
		return func(dir string) error {
			if err := os.Symlink(target, filepath.Join(dir, "new link")); err != nil {
				return err
			}
			return os.Rename(filepath.Join(dir, "new link"), filepath.Join(dir, link))
		}
	}
	edit := func(file string) func(dir string) error {
		return func(dir string) error { return os.WriteFile(filepath.Join(dir, file), []byte("x"), 0o600) }
	}
	for name, test := range map[string]struct {
		change func(dir string) error
		seen   bool
	}{
		"the file's directory is swapped": {swap("volume/..data", "ts2"), true},
		"the whole volume is swapped":     {swap("entry", "outside"), true},
		"the file's link is swapped":      {swap("volume/j.hcl", "../outside/j.hcl"), true},
		"a link's target is edited":       {edit("outside/secret"), true},
		"another file":                    {edit("volume/README"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each waits for a quiet time
			dir := mount(t)
			p := findPlaces(&config.Config{Watch: true, Files: []string{
				filepath.Join(dir, "entry/j.hcl"), filepath.Join(dir, "entry/secret"),
			}})
			watcher, err := fsnotify.NewWatcher()
			if err != nil {
				t.Fatal(err)
			}
			for _, directory := range p.directories {
				if err := watcher.Add(directory); err != nil {
					t.Fatal(err)
				}
			}
			if err := test.change(dir); err != nil {
				t.Fatal(err)
			}
			patience := 20 * time.Second
			if !test.seen {
				patience = 3 * settleTime // only this ends the wait
			}
			end := time.AfterFunc(patience, func() { watcher.Close() })
			defer watcher.Close()
			defer end.Stop()
			if seen := awaitSettled(watcher, p); seen != test.seen {
				t.Errorf("seen: %v", seen)
			}
		})
	}
}
