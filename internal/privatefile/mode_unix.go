//go:build unix

package privatefile

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// IsOpen says whether anybody but the owner may do anything with a file.
func IsOpen(file fs.FileInfo) bool { return file.Mode().Perm()&0o077 != 0 }

// Owner returns the id of a file's owner, where files have one and a mode that says what others may do.
func Owner(file fs.FileInfo) (id int, known bool) {
	stat, known := file.Sys().(*syscall.Stat_t)
	if !known {
		return 0, false
	}
	return int(stat.Uid), true
}

// SyncDir makes the names in a directory durable.
func SyncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
