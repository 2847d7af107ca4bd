//go:build unix

package privatefile

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestReplace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path+".new", []byte("half a key"), 0o644); err != nil { // of somebody who was killed
		t.Fatal(err)
	}
	for _, text := range []string{"first", "second"} {
		if err := Replace(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := Read(path, "make another"); err != nil || string(got) != text {
			t.Errorf("%q, %v", got, err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}
	if err := Replace(filepath.Join(path, "below"), nil); err == nil {
		t.Error("a file below a file")
	}
}

func TestOpenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o666} {
		if err := os.WriteFile(path, []byte("secret"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		text, err := Read(path, "make another")
		if text != nil || err == nil || !strings.Contains(err.Error(), "chmod 600") || !strings.Contains(err.Error(), "make another") {
			t.Errorf("mode %o: %q, %v", mode, text, err)
		}
	}
}

// Whoever reads while several write sees the text of one of them, whole; nothing is left beside it.
func TestReplaceShared(t *testing.T) {
	path := filepath.Join(t.TempDir(), "login")
	write := func(letter string) {
		if err := ReplaceShared(path, bytes.Repeat([]byte(letter), 1000)); err != nil {
			t.Error(err)
		}
	}
	write("a")
	var writers sync.WaitGroup
	defer writers.Wait()
	for _, letter := range []string{"a", "b", "c"} {
		writers.Go(func() {
			for range 20 {
				write(letter)
			}
		})
	}
	for range 100 {
		if text, err := ReadOwn(path, ""); err != nil || len(text) != 1000 || bytes.Count(text, text[:1]) != 1000 {
			t.Fatalf("%.20q, %v", text, err)
		}
	}
	writers.Wait()
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}
	if err := ReplaceShared(filepath.Join(path, "below"), nil); err == nil {
		t.Error("a file below a file")
	}
}

func TestReadOwn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "login")
	if err := ReplaceShared(path, []byte("mine")); err != nil {
		t.Fatal(err)
	}
	if text, err := ReadOwn(path, ""); err != nil || string(text) != "mine" {
		t.Errorf("%q, %v", text, err)
	}
	if os.Geteuid() != 0 {
		return // only root can give files away
	}
	if err := os.Chown(path, 1234, -1); err != nil {
		t.Fatal(err)
	}
	if text, err := ReadOwn(path, "log in as yourself"); err == nil || !strings.Contains(err.Error(), path+" belongs to another user: log in as yourself") {
		t.Errorf("another user's: %q, %v", text, err)
	}
	if text, err := Read(path, ""); err != nil || string(text) != "mine" {
		t.Errorf("another user's, which may be: %q, %v", text, err)
	}
}

func TestLargeFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, bytes.Repeat([]byte{'x'}, MaxSize+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path, ""); err == nil {
		t.Error("a file that is too large was read")
	}
}
