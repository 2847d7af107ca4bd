package authority

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

const maxFile = 1 << 20 // bytes of any file that is read

// openDir makes the directory, durably, or finds out whether it is private.
func openDir(path string) error {
	err := os.Mkdir(path, 0o700)
	if err == nil {
		return syncDir(filepath.Dir(path))
	}
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a directory: move it away", path)
	}
	if isOpen(info) {
		return fmt.Errorf("others may look into %s: chmod 700 %s", path, path)
	}
	return nil
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
		return nil, fmt.Errorf("others may read the private key in %s: chmod 600 %s; if somebody may have read it, rotate the"+
			" authority and retire the old one",
			path, path)
	}
	return readCapped(file)
}

// readFile reads a file of a length that certificates and keys have.
func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readCapped(file)
}

func readCapped(file *os.File) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s has more than %d bytes: it is not what is wanted here", file.Name(), maxFile)
	}
	return text, err
}

// writePrivate replaces a file in one step: who is killed leaves the old one or the new one, and what it returned from stays.
func writePrivate(path string, text []byte) error {
	temporary := path + ".new"
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
		return err
	}
	return syncDir(filepath.Dir(path))
}
