package membership

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

const maxFile = 1 << 20 // bytes of any file that is read

// makeDir makes a directory for its owner alone. One that is there and open to others is made private only if nobody can miss
// anything in it.
func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil || !isOpen(info) {
		return err
	}
	within, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(within) > 0 {
		return fmt.Errorf("others may look into %s: chmod 700 it, or name another directory", dir)
	}
	return os.Chmod(dir, 0o700)
}

// readPrivate reads a file that nobody but its owner may read.
func readPrivate(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if isOpen(info) {
		return nil, fmt.Errorf("others may read or write %s: chmod 600 it, and if somebody did", path)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s has more than %d bytes: it is none of Jackfield's", path, maxFile)
	}
	return text, err
}

// writePrivate replaces a file in one step: who is killed leaves the old one or the new one, and what it returned from stays.
func writePrivate(path string, text []byte) error {
	temporary := path + ".part"
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	if err := os.Rename(temporary, path); err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	return syncDir(filepath.Dir(path))
}
