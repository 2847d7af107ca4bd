//go:build unix

package authority

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestModes(t *testing.T) {
	old := syscall.Umask(0) // what is made is private whatever the mask
	defer syscall.Umask(old)
	dir := newDir(t)
	mustRotate(t, open(t, dir))
	for path, want := range map[string]fs.FileMode{dir: 0o700, filepath.Join(dir, FileName): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want %o", path, info.Mode(), err, want)
		}
	}
}

func TestOpenRefusesModes(t *testing.T) {
	for name, test := range map[string]struct {
		file string
		mode fs.FileMode
		want string
	}{
		"directory, others": {"", 0o705, "chmod 700"},
		"directory, group":  {"", 0o750, "chmod 700"},
		"file, all read":    {FileName, 0o644, "chmod 600"},
		"file, group reads": {FileName, 0o640, "chmod 600"},
		"file, all write":   {FileName, 0o602, "chmod 600"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := newDir(t)
			open(t, dir)
			path := filepath.Join(dir, test.file)
			if err := os.Chmod(path, test.mode); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), test.want+" "+path) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// When the file cannot be written, nothing has changed.
func TestNoPlaceToWrite(t *testing.T) {
	dir := newDir(t)
	a := open(t, dir)
	blocked := filepath.Join(dir, FileName+".new", "x")
	if err := os.MkdirAll(blocked, 0o700); err != nil {
		t.Fatal(err)
	}
	before := a.Fingerprint()
	if err := a.Rotate(); err == nil {
		t.Fatal("it was rotated")
	}
	if a.Fingerprint() != before || open(t, dir).Fingerprint() != before {
		t.Error("the authority has changed")
	}
}
