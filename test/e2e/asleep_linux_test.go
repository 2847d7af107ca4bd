package e2e

import (
	"errors"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"jackfield/test/live"
)

const asleepConfig = `
data_dir      = "data"
drain_timeout = "0s"
listener "web" {
  protocol = "https"
  listen   = "192.0.2.1:1443"
  names    = ["192.0.2.1"]
}
service "echo" {
  listeners = ["web"]
  builtin   = "echo"
}
`

// TestForwardAsleep: a laptop is closed while it forwards, and opened elsewhere an hour later. Meanwhile the server was started
// anew. The first connection after that is served, and the one before ends.
//
// What an hour of sleep does to a process is that it does not run, that its network has another address, and that the other ends
// of its connections are gone. Time itself is nothing to it: nothing that is kept between two connections depends on a clock.
func TestForwardAsleep(t *testing.T) {
	t.Parallel()
	office, laptop := newNamespace(t), newNamespace(t)
	join(t, office, "eth", "192.0.2.1/24", laptop, "eth", "192.0.2.2/24")
	d := &desk{dir: t.TempDir(), address: "192.0.2.1:1443"}
	writeConfig(t, d.dir, asleepConfig)
	there := func(where *namespace, args ...string) *exec.Cmd {
		cmd := where.command(args...)
		cmd.Dir, cmd.Env = d.dir, d.command(t, "true").Env
		return cmd
	}
	serve := func() {
		t.Helper()
		s, err := live.ServeCommand(there(office, "jackfield", "serve", "--config", "jackfield.hcl"))
		if err != nil {
			t.Fatal(err)
		}
		d.Server = s
	}
	serve()
	t.Cleanup(func() { d.stop(t) })
	login := there(laptop, "jackfield", "login", d.address, "--trust", "--token-stdin")
	login.Stdin = strings.NewReader(fileText(t, filepath.Join(d.dir, "data/first-token")))
	if out, err := login.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	forward, err := live.Start(there(laptop, "jackfield", "forward", "echo", "7007"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := forward.Stop(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
	})
	if err := forward.WaitFor(func(said string) bool { return strings.Contains(said, "echo is at 127.0.0.1:7007\n") }); err != nil {
		t.Fatal(err)
	}
	before := startConversation(t, there(laptop, "nc", "127.0.0.1", "7007"))
	talk(t, before, "before")

	syscall.Kill(forward.PID(), syscall.SIGSTOP)
	laptop.sh(t, "ip link set eth down")
	d.stop(t)
	serve()
	laptop.sh(t, "ip address delete 192.0.2.2/24 dev eth; ip address add 192.0.2.3/24 dev eth; ip link set eth up")
	syscall.Kill(forward.PID(), syscall.SIGCONT)

	after := startConversation(t, there(laptop, "nc", "127.0.0.1", "7007"))
	talk(t, after, "after")
	if said := forward.Output(); strings.Contains(said, "jackfield:") {
		t.Errorf("it complains:\n%s", said)
	}

	// What is left of the connection before is probed from the sixteenth second on, and broken by the thirty-first: already, if all
	// of that took as long.
	out, err := laptop.command("ss", "-Htno", "state", "established", "src", "192.0.2.2").CombinedOutput()
	if probed := err == nil && strings.Contains(string(out), "timer:(keepalive,"); !probed && before.ended(live.Patience) != nil {
		t.Errorf("the connection before is not probed: %v: %s", err, out)
	}
	if live.Times(0, 1) > 0 {
		if err := before.ended(2 * live.Patience); err != nil {
			t.Error(err)
		}
		talk(t, after, "still there")
	}
}

// A conversation is one with a command, by its input and output.
type conversation struct {
	io.Writer
	io.Reader
	over chan struct{} // closed when the command has ended
}

// startConversation starts a command, which is killed when the test ends.
func startConversation(t *testing.T, cmd *exec.Cmd) *conversation {
	t.Helper()
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	near, far := net.Pipe() // whose reads have deadlines
	cmd.Stdout = far
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &conversation{input, near, make(chan struct{})}
	near.SetReadDeadline(time.Now().Add(3 * live.Patience))
	go func() {
		cmd.Wait()
		close(c.over)
	}()
	t.Cleanup(func() {
		near.Close()
		cmd.Process.Kill()
		input.Close()
	})
	return c
}

// ended waits for the end of the command.
func (c *conversation) ended(patience time.Duration) error {
	select {
	case <-c.over:
		return nil
	case <-time.After(patience):
		return errors.New("the connection before has not ended")
	}
}
