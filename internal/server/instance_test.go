package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestInstanceIsKept(t *testing.T) {
	dir := t.TempDir()
	first, err := openInstance(dir)
	if err != nil {
		t.Fatal(err)
	}
	second, err := openInstance(dir)
	if err != nil {
		t.Fatal(err)
	}
	if first.prefix() != second.prefix() || first.run() == second.run() || !strings.HasPrefix(second.run(), second.prefix()) {
		t.Errorf("two runs are %q and %q", first.run(), second.run())
	}
	if info, err := os.Stat(filepath.Join(dir, "instance")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestDamagedInstance(t *testing.T) {
	for _, text := range []string{"", "abcd", "abcd x", "a-b 1", " 1", "abcd -1"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "instance"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if i, err := openInstance(dir); err == nil || !strings.Contains(err.Error(), "remove it") {
			t.Errorf("%q: %+v, %v", text, i, err)
		}
	}
}

func TestOpenDataDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	if err := openDataDir(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := openDataDir(dir); err == nil {
		t.Error("a directory that others may write to was accepted")
	}
}
