package e2e

import (
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"jackfield/test/live"
)

// A terminal is the one that a command has been started at.
type terminal struct{ *live.Terminal }

// startAtTerminal starts a command whose input and output is a terminal, as far as it has none yet. It is killed when the test
// ends.
func startAtTerminal(t *testing.T, cmd *exec.Cmd) *terminal {
	t.Helper()
	if _, err := os.Stat("/dev/ptmx"); err != nil {
		live.Missing(t, "pseudo-terminal", "mount devpts")
	}
	its, err := live.StartAtTerminal(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		its.Close()
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
	})
	return &terminal{its}
}

// endOf waits for a command that was started at a terminal, and returns its exit status.
func (s *terminal) endOf(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	watchdog := time.AfterFunc(live.Patience, func() { cmd.Process.Kill() })
	defer watchdog.Stop()
	if cmd.Wait(); cmd.ProcessState.ExitCode() < 0 {
		t.Errorf("%s: %v:\n%s", cmd, cmd.ProcessState, s.Text())
	}
	return cmd.ProcessState.ExitCode()
}

// answer waits for a question without echo and types an answer to it.
func (s *terminal) answer(t *testing.T, question, answer string) {
	t.Helper()
	if !eventually(func() bool { return strings.HasSuffix(s.Text(), question) && !s.Echoes() }) {
		t.Fatalf("%q is not asked:\n%s", question, s.Text())
	}
	s.types(t, answer+"\n")
}

// types types a text.
func (s *terminal) types(t *testing.T, text string) {
	t.Helper()
	if err := s.Type(text); err != nil {
		t.Fatal(err)
	}
}

// shows waits until the terminal shows a text.
func (s *terminal) shows(t *testing.T, text string) {
	t.Helper()
	if !eventually(func() bool { return strings.Contains(s.Text(), text) }) {
		t.Fatalf("it does not show %q:\n%q", text, s.Text())
	}
}

// showsInTurn waits until the terminal shows a text, and another one after that.
func (s *terminal) showsInTurn(t *testing.T, first, then string) {
	t.Helper()
	if !eventually(func() bool {
		shown := s.Text()
		at := strings.LastIndex(shown, first)
		return at >= 0 && strings.Contains(shown[at:], then)
	}) {
		t.Fatalf("it does not show %q and then %q:\n%q", first, then, s.Text())
	}
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
		status = terminal.endOf(t, cmd)
		if !terminal.Echoes() {
			t.Error("the terminal was left without echo")
		}
		shown = terminal.All()
		for _, a := range answers {
			if strings.Contains(shown, a[1]) {
				t.Errorf("the password is shown: %q", shown)
			}
		}
		return shown, status
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
