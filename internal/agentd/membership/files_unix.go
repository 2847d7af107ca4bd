//go:build unix

package membership

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// systemDir is where the agent of a machine, which runs as root or is started by systemd, keeps its membership.
const systemDir = "/var/lib/jackfield-agent"

// DefaultDir is where a membership is kept unless somebody says otherwise: the directory that systemd names, root's, or the user's
// for state (XDG Base Directory Specification 0.8).
func DefaultDir() (string, error) {
	if first, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":"); filepath.IsAbs(first) {
		return first, nil
	}
	if os.Geteuid() == 0 {
		return systemDir, nil
	}
	parent := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(parent) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("there is no place to keep the membership in: %w (name one with --state)", err)
		}
		parent = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(parent, "jackfield", "agent"), nil
}
