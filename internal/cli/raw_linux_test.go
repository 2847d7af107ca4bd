package cli

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"jackfield"
	"jackfield/test/live"
)

// panicMark is in the environment of the process that is to panic.
const panicMark = "JACKFIELD_TEST_PANIC"

// A panicking stream is the worst that can happen to a session, once a key was pressed.
type panicking struct{ jackfield.Stream }

func (panicking) Write([]byte) (int, error) { panic("the worst that can happen") }
func (panicking) Close() error              { return nil }

// Read waits for ever, as for a service that says nothing.
func (panicking) Read([]byte) (int, error) { select {} }

// TestRawPanic: a terminal is as it was before, even if this program has a mistake.
func TestRawPanic(t *testing.T) {
	if os.Getenv(panicMark) != "" {
		cmd := newConnect()
		cmd.SetContext(t.Context())
		t.Fatal(joinTerminal(cmd, panicking{}, "console"))
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestRawPanic$")
	cmd.Env = append(os.Environ(), panicMark+"=yes")
	screen, err := live.StartAtTerminal(cmd)
	if err != nil {
		live.Missing(t, "pseudo-terminal ("+err.Error()+")", "mount devpts")
	}
	defer screen.Close()
	watchdog := time.AfterFunc(live.Patience, func() { cmd.Process.Kill() })
	defer watchdog.Stop()
	late, tick := time.After(live.Patience), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for screen.Echoes() { // until the terminal is raw
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("the terminal is never raw:\n%s", screen.Text())
		}
	}
	if err := screen.Type("k"); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Errorf("there was no panic:\n%s", screen.Text())
	}
	if told := screen.All(); !strings.Contains(told, "panic: the worst that can happen") {
		t.Errorf("it is not told:\n%s", told)
	}
	if !screen.Echoes() {
		t.Error("the terminal was left raw")
	}
}
