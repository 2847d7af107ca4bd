//go:build unix

package authority

import (
	"errors"
	"io/fs"
	"os"
)

// isOpen says whether anybody but the owner may do anything with a file.
func isOpen(file fs.FileInfo) bool { return file.Mode().Perm()&0o077 != 0 }

// syncDir makes the names in a directory durable.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
