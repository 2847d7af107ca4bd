package jetstream

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

var errLocked = errors.New("locked")

// lock keeps other processes away until unlock; the kernel drops the lock with us. The file holds our process id. It stays:
// who removed it could let two processes hold a lock of that name.
func lock(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lockFile(file); err != nil {
		defer file.Close()
		if errors.Is(err, errLocked) {
			return nil, inUse(path)
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if err := writePID(file); err != nil {
		file.Close()
		return nil, err
	}
	return func() { file.Close() }, nil
}

func inUse(path string) error {
	holder := "another process"
	if text, err := os.ReadFile(path); err == nil && len(text) > 0 && len(text) < 32 {
		holder += " (pid " + strings.TrimSpace(string(text)) + ")"
	}
	return fmt.Errorf("%s uses the directory %s: stop it, or give this one a directory of its own", holder, filepath.Dir(path))
}

func writePID(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := file.WriteAt(fmt.Appendln(nil, os.Getpid()), 0)
	return err
}
