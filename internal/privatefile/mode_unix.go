//go:build unix

package privatefile

import (
	"errors"
	"io/fs"
	"os"
)

// IsOpen says whether anybody but the owner may do anything with a file.
func IsOpen(file fs.FileInfo) bool { return file.Mode().Perm()&0o077 != 0 }

// SyncDir makes the names in a directory durable.
func SyncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
