package command_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"jackfield/internal/route/command"
)

// TestOrdinaryUser is about a server that is not root. Root runs it again as nobody.
func TestOrdinaryUser(t *testing.T) {
	if os.Geteuid() == 0 {
		asNobody(t, "TestOrdinaryUser")
		return
	}
	t.Run("identity", ordinaryIdentity)
	t.Run("privileges", ordinaryPrivileges)
	t.Run("half-close", TestHalfCloseDirect)
	t.Run("cancel", TestCancel)
	t.Run("no fork", ordinaryNoFork)
}

// asNobody runs one test of this binary as another user.
func asNobody(t *testing.T, test string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), copyOfSelf(t, 0o755), "-test.run=^"+test+"$", "-test.v")
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir()}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+test) {
		t.Errorf("as nobody: %v\n%s", err, out)
	}
}

const nobody = 65534

// copyOfSelf returns the path of a copy of this binary that every user may execute.
func copyOfSelf(t *testing.T, mode os.FileMode) string {
	t.Helper()
	binary, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	return write(t, filepath.Join(publicDir(t), "self"), string(binary), mode)
}

func ordinaryIdentity(t *testing.T) {
	script := shell("id -u; id -g; id -G; grep CapPrm /proc/self/status")
	plain := run(t, command.Options{Command: script})
	named := run(t, command.Options{Command: script, User: itoa(nobody), Group: itoa(nobody)})
	if want := "65534\n65534\n65534\nCapPrm:\t0000000000000000\n"; plain != want || named != want {
		t.Errorf("got %q and %q", plain, named)
	}
}

func ordinaryPrivileges(t *testing.T) {
	answer, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	own := 20 - answer // as the kernel puts it
	for want, o := range map[string]command.Options{
		"only root can start programs with another user or other groups; the server runs as user nobody": {User: "root"},
		"only root can start programs with another user":                                                 {Group: "daemon"},
		fmt.Sprintf("nice is %d: below the server's own %d it needs root", own-1, own):                   {Nice: own - 1},
		"above the server's own 20000 it needs root":                                                     {Limits: command.Limits{NoFile: limit(20001)}},
		"limit as is unlimited: above":                                                                   {Limits: command.Limits{AS: limit(1<<64 - 1)}},
	} {
		for resource, n := range map[int]uint64{unix.RLIMIT_NOFILE: 20000, unix.RLIMIT_AS: 1 << 45} {
			if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: n, Max: n}); err != nil {
				t.Fatal(err)
			}
		}
		o.Command, o.Launcher = []string{"/bin/cat"}, newLauncher(t)
		if _, err := command.New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v; want %q", err, want)
		}
	}
}

func ordinaryNoFork(t *testing.T) {
	launcher := newLauncher(t)
	route := newRoute(t, command.Options{Command: []string{"/bin/cat"}, Launcher: launcher})
	works(t, route)
	restore := setLimit(t, launcher.PID(), unix.RLIMIT_NPROC, 0)
	refused(t, route, "fork: resource temporarily unavailable")
	restore()
	works(t, route)
}
