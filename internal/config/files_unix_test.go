//go:build unix

package config

import (
	"os"
	"strings"
	"syscall"
	"testing"
)

// A pipe in the place of the main file is read at a start, and refused at once by a reload: nobody may ever write to it.
func TestPipeAsMainFile(t *testing.T) {
	path := write(t, "")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	loaded, problems := Reload(path)
	if err := problems.Err(); loaded != nil || err == nil || !strings.Contains(err.Error(), "not an ordinary file") {
		t.Errorf("reload: %v, %v", loaded, err)
	}

	wrote := make(chan error, 1)
	go func() { wrote <- os.WriteFile(path, []byte(`data_dir = "/piped"`), 0) }()
	if c := mustLoad(t, path); c.DataDir != "/piped" {
		t.Errorf("data_dir is %q", c.DataDir)
	}
	if err := <-wrote; err != nil {
		t.Error(err)
	}
}
