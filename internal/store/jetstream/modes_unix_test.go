//go:build unix

package jetstream

import (
	"io/fs"
	"path/filepath"
	"testing"
)

func TestFileModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := openDir(t, dir)
	if _, err := s.Create(t.Context(), "user.ada", []byte("secret")); err != nil {
		t.Fatal(err)
	}
	s.Close()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %s", path, info.Mode())
		}
		files++
		return err
	})
	if err != nil || files < 10 {
		t.Errorf("%d files (%v)", files, err)
	}
}
