//go:build unix

package server

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"jackfield/internal/account"
	"jackfield/test/live"
)

// A directory as checkOwner sees it.
type directory struct {
	owner uint32
	mode  fs.FileMode
}

func (d directory) Name() string       { return "data" }
func (d directory) Size() int64        { return 0 }
func (d directory) Mode() fs.FileMode  { return d.mode }
func (d directory) ModTime() time.Time { return time.Time{} }
func (d directory) IsDir() bool        { return true }
func (d directory) Sys() any           { return &syscall.Stat_t{Uid: d.owner} }

func TestCheckOwner(t *testing.T) {
	for name, test := range map[string]struct {
		dir  directory
		uid  int
		want string // in the error; empty for none
	}{
		"own":                     {directory{70001, 0o700}, 70001, ""},
		"own, readable":           {directory{70001, 0o755}, 70001, ""},
		"own, the group writes":   {directory{70001, 0o770}, 70001, "chmod go-w"},
		"own, others write":       {directory{70001, 0o707}, 70001, "chmod go-w"},
		"root's":                  {directory{0, 0o755}, 70001, ""},
		"root's, others write":    {directory{0, 0o1777}, 70001, "chmod go-w"},
		"root's, for root":        {directory{0, 0o700}, 0, ""},
		"of another user":         {directory{70002, 0o755}, 70001, "belongs to user 70002 and not to user 70001 or root"},
		"of a user, server: root": {directory{70002, 0o700}, 0, "belongs to user 70002 and not to root: chown it"},
	} {
		t.Run(name, func(t *testing.T) {
			err := checkOwner(test.dir, test.uid)
			if test.want == "" && err != nil {
				t.Error(err)
			}
			if test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// A server that is root does not write where another user's links lead.
func TestDataDirOfAnotherUser(t *testing.T) {
	dir, victim := madeByRoot(t), filepath.Join(t.TempDir(), "victim")
	chown(t, dir, 70001)
	if err := os.Symlink(victim, filepath.Join(dir, ".writable")); err != nil {
		t.Fatal(err)
	}
	if err := openDataDir(dir); err == nil || !strings.Contains(err.Error(), "belongs to user 70001") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Lstat(victim); err == nil {
		t.Error("the server wrote through the link")
	}
}

// Who becomes another user gives away what is root's, and nothing that the links of a user's own directory lead to.
func TestGiveDataDir(t *testing.T) {
	nobody := &account.User{UID: 70001, GID: 70001}
	t.Run("root's", func(t *testing.T) {
		dir := madeByRoot(t)
		inner := filepath.Join(dir, "store", "file")
		if err := os.Mkdir(filepath.Dir(inner), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(inner, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		outside := t.TempDir()
		if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
			t.Fatal(err)
		}
		if err := giveDataDir(dir, nobody); err != nil {
			t.Fatal(err)
		}
		expectOwner(t, dir, 70001)
		expectOwner(t, inner, 70001)
		expectOwner(t, outside, 0)
	})
	t.Run("the user's", func(t *testing.T) {
		dir := madeByRoot(t)
		victim := filepath.Join(t.TempDir(), "victim")
		if err := os.WriteFile(victim, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Link(victim, filepath.Join(dir, "instance")); err != nil {
			t.Fatal(err)
		}
		chown(t, dir, 70001)
		if err := giveDataDir(dir, nobody); err != nil {
			t.Error(err)
		}
		expectOwner(t, victim, 0)
	})
	t.Run("another user's", func(t *testing.T) {
		dir := madeByRoot(t)
		chown(t, dir, 70002)
		if err := giveDataDir(dir, nobody); err == nil || !strings.Contains(err.Error(), "belongs to user 70002") {
			t.Errorf("got %v", err)
		}
		expectOwner(t, dir, 70002)
	})
}

func madeByRoot(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		live.Missing(t, "root", "only root can give files away")
	}
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func chown(t *testing.T, path string, uid int) {
	t.Helper()
	if err := os.Chown(path, uid, -1); err != nil {
		t.Fatal(err)
	}
}

func expectOwner(t *testing.T, path string, uid int) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if owner := ownerOf(info); owner != uid {
		t.Errorf("%s belongs to %d, want %d", filepath.Base(path), owner, uid)
	}
}
