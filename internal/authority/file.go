package authority

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"jackfield/internal/privatefile"
)

// openDir makes the directory, durably, or finds out whether it is private.
func openDir(path string) error {
	err := os.Mkdir(path, 0o700)
	if err == nil {
		return privatefile.SyncDir(filepath.Dir(path))
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
	if privatefile.IsOpen(info) {
		return fmt.Errorf("others may look into %s: chmod 700 %s", path, path)
	}
	return nil
}

// readPrivate reads a file with a private key.
func readPrivate(path string) ([]byte, error) {
	return privatefile.Read(path, "rotate the authority and retire the old one")
}

// readFile reads a file of a length that certificates and keys have.
func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return privatefile.ReadCapped(file)
}
