package server

import (
	"os"
	"path/filepath"
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
	if err := checkOwner(info, os.Geteuid()); err != nil {
		return err
	}
	probe := filepath.Join(path, ".writable")
	if err := os.WriteFile(probe, nil, 0o600); err != nil {
		return err
	}
	return os.Remove(probe)
}
