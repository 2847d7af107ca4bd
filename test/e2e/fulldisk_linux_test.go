package e2e

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"jackfield/test/live"
)

const fullDiskConfig = `
data_dir = "data"
audit {
  path = "disk/audit.jsonl"
}
listener "mux" {
  protocol = "tcpmux"
  listen   = "127.0.0.1:0"
}
service "echo" {
  listeners = ["mux"]
  builtin   = "echo"
}
`

// TestFullDisk fills the disk under the audit log: new sessions are refused, those that are open go on, and when there is
// room again everything works again, with no restart and no record lost.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	s, disk := serveOnSmallDisk(t)
	before := open(t, s, "mux")
	say(t, before, "echo\r\n")
	expect(t, before, "+\r\n")

	fill(t, disk)
	if !eventually(func() bool { return strings.HasPrefix(ask(t, s), "-the audit log cannot be written [") }) {
		t.Fatal("sessions are still opened on a full disk")
	}
	say(t, before, "hello")
	expect(t, before, "hello")
	complaint := []live.Test{live.Equal("level", "ERROR"), live.Equal("msg", "audit log cannot be written: new sessions are refused")}
	awaitLog(t, s, complaint...)
	if complaints := live.Select(s.Output(), complaint...); len(complaints) != 1 {
		t.Errorf("the log complains %d times", len(complaints))
	}
	if err := before.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	expectEnd(t, before, "FIN")

	if err := os.Remove(filepath.Join(disk, "filler")); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, s); got != "+\r\n" {
		t.Fatalf("with room on the disk the server says %q", got)
	}
	recorded := func(tests ...live.Test) int {
		audit, err := os.ReadFile(filepath.Join(disk, "audit.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		return len(live.Select(string(audit), tests...))
	}
	// A session is on record once it is over, which is a moment after its client has seen the end.
	closed := []live.Test{live.Equal("event", "close"), live.Equal("bytes_from_client", "5"), live.Equal("end", "finished")}
	if !eventually(func() bool { return recorded(closed...) == 1 }) {
		t.Errorf("%d closes of the session that lived through it are on record", recorded(closed...))
	}
	if recorded(live.Equal("event", "refuse"), live.Equal("kind", "internal"), live.Equal("by", "audit")) == 0 {
		t.Error("no refusal is on record")
	}
	if lost := recorded(live.Equal("event", "lost")); lost > 0 {
		t.Errorf("records are lost, as %d lines say", lost)
	}
}

// serveOnSmallDisk runs the server in a mount namespace of its own, and returns the path of its disk as seen from here.
func serveOnSmallDisk(t *testing.T) (*live.Server, string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"disk", "data"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "jackfield.hcl"), []byte(fullDiskConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	unshare := live.Unshare("--mount")
	const mount = "mount -t tmpfs -o size=64k none disk"
	try := exec.Command(unshare[0], append(unshare[1:], "sh", "-c", mount)...)
	try.Dir = dir
	if out, err := try.CombinedOutput(); err != nil {
		live.Missing(t, "private disk", fmt.Sprintf("run the tests as root, or allow user namespaces (%s)", out))
	}
	cmd := exec.Command(unshare[0], append(unshare[1:], "sh", "-c", mount+" && exec jackfield serve --config jackfield.hcl")...)
	cmd.Dir = dir
	s, err := live.ServeCommand(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
	})
	return s, filepath.Join(fmt.Sprintf("/proc/%d/root", s.PID()), dir, "disk")
}

// fill leaves no page of the disk free. The audit log's last page may still have some room.
func fill(t *testing.T, disk string) {
	t.Helper()
	filler, err := os.Create(filepath.Join(disk, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer filler.Close()
	if _, err := io.CopyN(filler, endless{}, 1<<20); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
}

// ask opens a session and ends it; it returns the server's reply.
func ask(t *testing.T, s *live.Server) string {
	t.Helper()
	c := open(t, s, "mux")
	say(t, c, "echo\r\n")
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	reply, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(reply)
}
