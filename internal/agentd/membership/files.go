package membership

import (
	"fmt"
	"os"

	"jackfield/internal/privatefile"
)

// makeDir makes a directory for its owner alone. One that is there and open to others is made private only if nobody can miss
// anything in it.
func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil || !privatefile.IsOpen(info) {
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

// readPrivate reads a file of a membership.
func readPrivate(path string) ([]byte, error) { return privatefile.Read(path, "enrol the agent again") }
