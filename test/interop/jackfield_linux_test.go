package interop

import (
	"fmt"
	"syscall"
	"testing"

	"jackfield/test/live"
)

// startJackfield runs the real server with the programs that the peers run.
func startJackfield(t *testing.T) *server {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "jackfield.hcl", fmt.Sprintf(jackfieldConfig, plusProgram, writeProgram(t, dir)), 0o644)
	s, err := live.Serve(dir, "jackfield.hcl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
	})
	return &server{"Jackfield", "", s.Addresses["mux"]}
}

const jackfieldConfig = `
data_dir = "data"
listener "mux" {
  protocol     = "tcpmux"
  listen       = "127.0.0.1:0"
  name_timeout = "1m" # longer than quiet
}
service "plussvc" {
  listeners = ["mux"]
  command   = [%q]
}
service "dedsvc" {
  listeners = ["mux"]
  command   = [%q]
  mode      = "dedicated"
}
`
