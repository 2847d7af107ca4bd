//go:build unix

package server

import (
	"log/slog"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A pipe in the place of the configuration keeps no reload waiting.
func TestReloadOfPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jackfield.hcl")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	s := &Server{path: path, log: slog.New(slog.DiscardHandler)}
	if _, err := s.reload(); err == nil || !strings.Contains(err.Error(), "not an ordinary file") {
		t.Errorf("got %v", err)
	}
}
