package command_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jackfield"
	"jackfield/internal/route/command"
)

func itoa(n int) string { return strconv.Itoa(n) }

func TestHalfCloseDirect(t *testing.T) {
	route := newRoute(t, command.Options{Command: []string{"/bin/cat"}})
	for range 100 {
		d := take(t, route)
		d.send("DATA") // it is there before the program is
		d.serve()
		d.client.CloseWrite()
		if got := d.readAll(); got != "DATA" {
			t.Fatalf("got %q", got)
		}
		if details, err := d.end(); details != "" || err != nil {
			t.Fatalf("got %q, %v", details, err)
		}
		if got, want := d.taken.Transfer(), (jackfield.Transfer{FromClient: 4, FromService: 4}); got != want {
			t.Fatalf("transfer is %v", got)
		}
	}
}

// The listener's answer is always first, however eager the program.
func TestProgramNeverSpeaksFirst(t *testing.T) {
	trace := filepath.Join(publicDir(t), "started")
	route := newRoute(t, command.Options{Command: shell("echo first > " + trace + "; echo early")})
	for range 50 {
		d := take(t, route)
		d.server.SetWriteDeadline(time.Now().Add(patience))
		if _, err := io.WriteString(d.server, "+\r\n"); err != nil {
			t.Fatal(err)
		}
		d.server.SetWriteDeadline(time.Time{})
		d.expect("+\r\n")
		if _, err := os.Stat(trace); !errors.Is(err, os.ErrNotExist) {
			t.Fatal("the program ran before Serve")
		}
		d.serve()
		d.expect("early\n")
		d.client.Close()
		d.end()
		os.Remove(trace)
	}
}

func TestReleaseInsteadOfServe(t *testing.T) {
	trace := filepath.Join(publicDir(t), "started")
	route := newRoute(t, command.Options{Command: shell("echo > " + trace)})
	d := take(t, route)
	d.taken.Release()
	d.taken.Release()
	if _, err := os.Stat(trace); !errors.Is(err, os.ErrNotExist) {
		t.Error("the program ran")
	}
	if _, err := io.WriteString(d.server, "-sorry\r\n"); err != nil {
		t.Error(err)
	}
	d.expect("-sorry\r\n")
	if got := d.taken.Transfer(); got != (jackfield.Transfer{}) {
		t.Errorf("transfer is %v", got)
	}
}

func TestDetails(t *testing.T) {
	for script, want := range map[string]string{
		"exit 0":                    "",
		"exit 3":                    "exit status 3",
		"kill -TERM $$":             "killed by SIGTERM",
		"kill -9 $$":                "killed by SIGKILL",
		"kill -40 $$":               "killed by signal 40",
		"exec <&- >&- 2>&-; exit 4": "exit status 4",
	} {
		d := take(t, newRoute(t, command.Options{Command: shell(script)})).serve()
		d.readAll()
		d.client.Close()
		if details, err := d.end(); details != want || err != nil {
			t.Errorf("%s: got %q, %v", script, details, err)
		}
	}
}

// What the client sent and nobody read must not destroy the answer.
func TestUnreadInputDoesNotReset(t *testing.T) {
	route := newRoute(t, command.Options{Command: shell("head -c 300000 /dev/zero; exit 1")})
	for range 10 {
		d := take(t, route)
		d.send(strings.Repeat("x", 100000))
		d.serve()
		d.client.CloseWrite()
		if got := d.readAll(); len(got) != 300000 {
			t.Fatalf("got %d bytes", len(got))
		}
		if details, err := d.end(); details != "exit status 1" || err != nil {
			t.Errorf("got %q, %v", details, err)
		}
		if got, want := d.taken.Transfer(), (jackfield.Transfer{FromClient: 100000, FromService: 300000}); got != want {
			t.Errorf("transfer is %v", got)
		}
	}
}

func TestTransfer(t *testing.T) {
	d := take(t, newRoute(t, command.Options{Command: shell("read line; echo $line; exec sleep 1000"), KillGrace: time.Second}))
	d.send("name\r\n")
	name := make([]byte, 6)
	if _, err := io.ReadFull(d.server, name); err != nil {
		t.Fatal(err)
	}
	io.WriteString(d.server, "+\r\n")
	d.send("DATA\n") // glued to the name: in the kernel when Serve begins
	d.expect("+\r\n")
	d.serve()
	d.expect("DATA\n")
	want := jackfield.Transfer{FromClient: 5, FromService: 5}
	if got := d.taken.Transfer(); got != want {
		t.Errorf("while it runs: %v", got)
	}
	d.send("more")
	want.FromClient += 4
	eventually(t, "more was counted", func() bool { return d.taken.Transfer() == want })
	d.client.CloseWrite()
	d.cancel(errors.New("disconnected"))
	d.end()
	if got := d.taken.Transfer(); got != want {
		t.Errorf("after the end: %v", got)
	}
}

func TestClientReset(t *testing.T) {
	d := take(t, newRoute(t, command.Options{Command: shell("echo ready; read line")}))
	d.serve()
	d.expect("ready\n")
	d.client.SetLinger(0)
	d.client.Close()
	if details, err := d.end(); err == nil || !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("got %q, %v", details, err)
	}
}

// A disconnect is felt by the client at once, and by a program that ignores SIGTERM after the grace.
func TestCancel(t *testing.T) {
	const grace = 2 * time.Second
	d := take(t, newRoute(t, command.Options{
		Command:   shell("trap '' TERM; echo $$; while :; do sleep 1000; done"),
		KillGrace: grace,
	}))
	d.serve()
	pid := d.expectPID()
	begin := time.Now()
	d.cancel(errors.New("disconnected by admin"))
	if !isReset(d.client) {
		t.Error("the client saw no reset")
	}
	if dead := !lives(pid); dead && time.Since(begin) < grace {
		t.Error("the program was killed before its grace was over")
	}
	if details, err := d.end(); details != "killed by SIGKILL" || err != nil {
		t.Errorf("got %q, %v", details, err)
	}
	if took := time.Since(begin); took < grace {
		t.Errorf("it was killed after %v", took)
	}
	if lives(pid) {
		t.Error("the program lives")
	}
}

func TestCancelBeforeServe(t *testing.T) {
	d := take(t, newRoute(t, command.Options{Command: shell("echo never")}))
	d.cancel(errors.New("shutdown"))
	d.serve()
	if !isReset(d.client) {
		t.Error("the client saw no reset")
	}
	if details, err := d.end(); details != "the program was not started" || err != nil {
		t.Errorf("got %q, %v", details, err)
	}
}

func TestCancelOddPrograms(t *testing.T) {
	for name, script := range map[string]string{
		"stopped":     "echo $$; kill -STOP $$",
		"never reads": "echo $$; exec sleep 1000",
		"deaf":        "echo $$; exec <&- >&- 2>&-; sleep 1000; sleep 1000",
	} {
		t.Run(name, func(t *testing.T) {
			d := take(t, newRoute(t, command.Options{Command: shell(script), KillGrace: time.Minute})).serve()
			pid := d.expectPID()
			d.cancel(errors.New("shutdown"))
			if details, err := d.end(); details != "killed by SIGTERM" || err != nil {
				t.Errorf("got %q, %v", details, err)
			}
			if lives(pid) {
				t.Error("the program lives")
			}
		})
	}
}

// When the leader has gone the session is over, although its child has the socket, and the child is ended.
func TestForksAndLeaves(t *testing.T) {
	d := take(t, newRoute(t, command.Options{
		Command:   shell("(trap '' TERM; while :; do sleep 1000; done) & echo $!; exit 5"),
		KillGrace: 200 * time.Millisecond,
	})).serve()
	pid := d.expectPID()
	if rest := d.readAll(); rest != "" {
		t.Errorf("got %q", rest)
	}
	d.client.Close()
	if details, err := d.end(); details != "exit status 5" || err != nil {
		t.Errorf("got %q, %v", details, err)
	}
	if lives(pid) {
		t.Error("the child lives")
	}
}

// A daemon that left the group keeps running, but the client is not left to it, and neither is the log.
func TestDaemonLeavesGroup(t *testing.T) {
	d := take(t, newRoute(t, command.Options{
		Command: shell("setsid sh -c 'echo $$; while :; do echo noise >&2; done' & read line"),
	})).serve()
	pid := d.expectPID()
	d.send("go\n")
	if rest := d.readAll(); rest != "" {
		t.Errorf("got %q", rest)
	}
	d.client.Close()
	d.end()
	eventually(t, "the daemon is alone, and ended by SIGPIPE", func() bool { return !lives(pid) })
}

// What a client that stays sends after the session's end reaches nobody.
func TestDaemonReadsNoMore(t *testing.T) {
	fifo := filepath.Join(publicDir(t), "left")
	if err := unix.Mkfifo(fifo, 0o666); err != nil {
		t.Fatal(err)
	}
	d := take(t, newRoute(t, command.Options{
		Command: shell("exec 3<&0; setsid sh -c 'echo $$; echo up >" + fifo + "; exec cat <&3 >&2' & read up <" + fifo),
	})).serve()
	pid := d.expectPID()
	if rest := d.readAll(); rest != "" {
		t.Errorf("got %q", rest)
	}
	d.end()
	eventually(t, "the daemon has read the end", func() bool { return !lives(pid) })
}

func TestReplacedWhileRunning(t *testing.T) {
	dir := publicDir(t)
	path := write(t, filepath.Join(dir, "prog"), "#!/bin/sh\necho up\nread x\necho old $x\n", 0o755)
	route := newRoute(t, command.Options{Command: []string{path}})
	old := take(t, route).serve()
	old.expect("up\n")
	next := write(t, filepath.Join(dir, "next"), "#!/bin/sh\necho new\n", 0o755)
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
	fresh := take(t, route).serve()
	fresh.expect("new\n")
	old.send("x\n")
	old.expect("old x\n")
	for _, d := range []*direct{fresh, old} {
		d.client.Close()
		if details, err := d.end(); details != "" || err != nil {
			t.Errorf("got %q, %v", details, err)
		}
	}
}
