//go:build !unix

package membership

import (
	"fmt"
	"os"
	"path/filepath"
)

// DefaultDir is where a membership is kept unless somebody says otherwise: in the user's directory for configuration, into which
// nobody else looks.
func DefaultDir() (string, error) {
	parent, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("there is no place to keep the membership in: %w (name one with --state)", err)
	}
	return filepath.Join(parent, "jackfield", "agent"), nil
}
