package server

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
)

// openDataDir makes the directory, for its owner alone, and finds out whether it can be written to and by whom else.
func openDataDir(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o022 != 0 {
		return errors.New("others may write to it: chmod go-w it")
	}
	probe := filepath.Join(path, ".writable")
	if err := os.WriteFile(probe, nil, 0o600); err != nil {
		return err
	}
	return os.Remove(probe)
}
