package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jackfield/test/live"
)

// A terminal is the one that a process has been started at, as the person before it sees it.
type terminal struct {
	file *os.File

	mu    sync.Mutex
	shown strings.Builder // guarded by mu
}

// startAtTerminal starts a command whose only input and output is a terminal.
func startAtTerminal(t *testing.T, cmd *exec.Cmd) *terminal {
	t.Helper()
	file, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		live.Missing(t, "pseudo-terminal", "mount devpts")
	}
	t.Cleanup(func() { file.Close() })
	number, err := unix.IoctlGetInt(int(file.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(file.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	its, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer its.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = its, its, its
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
	})
	shown := &terminal{file: file}
	go func() {
		piece := make([]byte, 1024)
		for {
			n, err := file.Read(piece)
			shown.mu.Lock()
			shown.shown.Write(piece[:n])
			shown.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return shown
}

func (s *terminal) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown.String()
}

// answer waits for a question and types an answer to it.
func (s *terminal) answer(t *testing.T, question, answer string) {
	t.Helper()
	if !eventually(func() bool { return strings.HasSuffix(s.text(), question) && !s.echoes() }) {
		t.Fatalf("%q is not asked:\n%s", question, s.text())
	}
	if _, err := s.file.WriteString(answer + "\n"); err != nil {
		t.Fatal(err)
	}
}

// echoes says whether the terminal shows what is typed.
func (s *terminal) echoes() bool {
	state, err := unix.IoctlGetTermios(int(s.file.Fd()), unix.TCGETS)
	return err != nil || state.Lflag&unix.ECHO != 0
}

// TestPasswordAtTerminal: a password is asked for twice, is not shown, and can be logged in with.
func TestPasswordAtTerminal(t *testing.T) {
	t.Parallel()
	o := newOffice(t, officeConfig)
	run := func(answers [][2]string, args ...string) (shown string, status int) {
		cmd := exec.Command("jackfield", append(args, "--socket", "data/admin.sock")...)
		cmd.Dir = o.dir
		terminal := startAtTerminal(t, cmd)
		for _, a := range answers {
			terminal.answer(t, a[0], a[1])
		}
		watchdog := time.AfterFunc(live.Patience, func() { cmd.Process.Kill() })
		defer watchdog.Stop()
		cmd.Wait()
		if !terminal.echoes() {
			t.Error("the terminal was left without echo")
		}
		eventually(func() bool { return strings.HasSuffix(terminal.text(), "\n") })
		for _, a := range answers {
			if strings.Contains(terminal.text(), a[1]) {
				t.Errorf("the password is shown: %q", terminal.text())
			}
		}
		return terminal.text(), cmd.ProcessState.ExitCode()
	}
	shown, status := run([][2]string{{"Password of ada: ", "correct horse"}, {"Again: ", "correct horse"}}, "user", "add", "ada")
	if status != 0 || !eventually(func() bool { return strings.Contains(o.cli(t, "", "user", "ls"), "ada ") }) {
		t.Errorf("exit status %d: %q", status, shown)
	}
	somebody := o.caller(t, "h2", "")
	somebody.login(t, `{"user":"ada","password":"correct horse"}`)

	shown, status = run([][2]string{{"New password of ada: ", "battery staple"}, {"Again: ", "battery stable"}}, "user", "passwd", "ada")
	if status != 1 {
		t.Errorf("two passwords: exit status %d: %q", status, shown)
	}
	somebody.login(t, `{"user":"ada","password":"correct horse"}`)

	_, status = run([][2]string{{"New password of ada: ", "battery staple"}, {"Again: ", "battery staple"}}, "user", "passwd", "ada")
	if status != 0 {
		t.Errorf("exit status %d", status)
	}
	somebody.login(t, `{"user":"ada","password":"battery staple"}`)
	somebody.expect(t, http.StatusUnauthorized, http.MethodPost, "/login", `{"user":"ada","password":"correct horse"}`)
}
