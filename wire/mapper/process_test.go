package mapper

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"
)

// A process is a real application: this test binary, with its pipes.
type process struct {
	io.Reader
	io.WriteCloser
	*exec.Cmd
}

func startProcess(t *testing.T, ctx context.Context) process {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, executable)
	cmd.Env = append(os.Environ(), "MAPPER_APPLICATION=1")
	stdin, inErr := cmd.StdinPipe()
	stdout, outErr := cmd.StdoutPipe()
	if err := errors.Join(inErr, outErr, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	return process{stdout, stdin, cmd}
}

func TestProcess(t *testing.T) {
	jane, john := Entries{{"user", "1000:jane"}}, Entries{{"user", "1001:john"}}
	answers, _, err := ask(startProcess(t, t.Context()), Request{"1", john}, Request{"2", jane})
	if err != nil {
		t.Fatal(err)
	}
	if got := verdict(answers[0]) + verdict(answers[1]); got != "-not on the list+welcome" {
		t.Errorf("got %q: %v", got, answers)
	}
}

// TestProcessFails: the exit status takes every answer back.
func TestProcessFails(t *testing.T) {
	answers, _, err := ask(startProcess(t, t.Context()),
		Request{"1", Entries{{"user", "1000:jane"}}}, Request{"2", Entries{{"user", "0:crash"}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range answers {
		exit, ok := errors.AsType[*exec.ExitError](a.Err)
		if !errors.Is(a.Err, ErrExit) || !ok || exit.ExitCode() != 3 || a.Allowed() {
			t.Errorf("error %v, want %v with status 3", a.Err, ErrExit)
		}
	}
}

// TestProcessKilled: a program that was greeted and is killed before it is asked.
func TestProcessKilled(t *testing.T) {
	program := startProcess(t, t.Context())
	c := NewConversation(program, nil)
	if err := c.Greet(); err != nil {
		t.Fatal(err)
	}
	if err := program.Process.Kill(); err != nil { // the end of a context would come a while later
		t.Fatal(err)
	}
	if a := c.Ask(ids("1"))[0]; !errors.Is(a.Err, ErrExit) || a.Allowed() {
		t.Errorf("error %v, want %v", a.Err, ErrExit)
	}
}

// TestProcessIsLeftAlone: Serve ends a program although nobody ends its input.
func TestProcessIsLeftAlone(t *testing.T) {
	ctx, kill := context.WithTimeout(t.Context(), time.Minute)
	defer kill()
	program := startProcess(t, ctx)
	if _, err := io.WriteString(program, "version:1\nrequest:1\nuser=1000:jane\nend-of-request:1\n"); err != nil {
		t.Fatal(err)
	}
	output, err := io.ReadAll(program)
	if want := "version:1\nrequest:1\nsuccess:welcome\n"; err != nil || string(output) != want {
		t.Errorf("output %q, %v; want %q", output, err, want)
	}
	if err := program.Wait(); err != nil {
		t.Error(err)
	}
}
