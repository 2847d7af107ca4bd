package command_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jackfield"
	"jackfield/internal/route/command"
)

func TestNewFindsProblems(t *testing.T) {
	asRoot(t)
	dir := publicDir(t)
	plain := write(t, filepath.Join(dir, "plain"), "text", 0o644)
	mine := write(t, filepath.Join(dir, "mine"), "#!/bin/sh\n", 0o700)
	private := filepath.Join(dir, "private")
	if err := os.Mkdir(private, 0o700); err != nil {
		t.Fatal(err)
	}
	hidden := write(t, filepath.Join(private, "prog"), "#!/bin/sh\n", 0o755)
	link := filepath.Join(dir, "link")
	if err := os.Symlink(hidden, link); err != nil {
		t.Fatal(err)
	}
	umask := fs.FileMode(0o1022)
	for name, c := range map[string]struct {
		o    command.Options
		want []string
	}{
		"nothing":        {command.Options{}, []string{"no command is given"}},
		"not there":      {command.Options{Command: []string{dir + "/nowhere"}}, []string{"no such file"}},
		"not in PATH":    {command.Options{Command: []string{"nowhere"}}, []string{`"nowhere" is in no directory of PATH (/usr/local/sbin:`}},
		"in own PATH":    {command.Options{Command: []string{"plain"}, Env: map[string]string{"PATH": dir}}, []string{"plain is not executable"}},
		"relative":       {command.Options{Command: []string{"./prog"}}, []string{"neither an absolute path nor a name"}},
		"directory":      {command.Options{Command: []string{dir}}, []string{"is not a regular file"}},
		"not executable": {command.Options{Command: []string{plain}}, []string{"plain is not executable"}},
		"not for user":   {command.Options{Command: []string{mine}, User: "nobody"}, []string{"mine is not executable for user nobody"}},
		"out of reach":   {command.Options{Command: []string{hidden}, User: "nobody"}, []string{"cannot be reached by user nobody: " + private}},
		"behind a link":  {command.Options{Command: []string{link}, User: "nobody"}, []string{"cannot be reached by user nobody: " + private}},
		"NUL":            {command.Options{Command: []string{"/bin/echo", "a\x00b"}}, []string{"NUL byte"}},
		"too long":       {command.Options{Command: []string{"/bin/echo", strings.Repeat("x", 70000)}}, []string{"more than 61440 bytes"}},
		"several": {
			command.Options{
				Command: []string{"/bin/cat"}, User: "nemo", Group: "noone", Groups: []string{"none", "99999999999"},
				Umask: &umask, Nice: 20, Directory: "tmp", Stderr: "file", KillGrace: -1,
				Env: map[string]string{"A=B": "", "JACKFIELD_USER": "root"}, EnvKeep: []string{""},
			},
			[]string{
				`user "nemo"`, `group "noone"`, `group "none"`, `group "99999999999"`, "umask 1022", "nice is 20",
				`directory "tmp"`, `stderr is "file"`, "grace", `"A=B" cannot be the name`, "JACKFIELD_USER is Jackfield's own",
				`"" cannot be the name`,
			},
		},
		"directory for user": {command.Options{Command: []string{"/bin/cat"}, User: "nobody", Directory: private}, []string{"cannot be entered by user nobody"}},
		"minus one":          {command.Options{Command: []string{"/bin/cat"}, Group: "4294967295"}, []string{"is not the number"}},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.Launcher = newLauncher(t)
			_, err := command.New(c.o)
			if err == nil {
				t.Fatal("nothing was found")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in:\n%v", want, err)
				}
			}
		})
	}
}

// refused opens both forms and checks that the refusals are of the right kind and name the reason.
func refused(t *testing.T, route *command.Route, reason string) {
	t.Helper()
	client, server := tcpPair(t)
	taken, err := route.TakeSocket(t.Context(), request(), server)
	isRefusal(t, err, reason)
	if taken != nil {
		t.Error("there is a session, too")
	}
	stream, err := route.Open(t.Context(), request())
	isRefusal(t, err, reason)
	if stream != nil {
		t.Error("there is a stream, too")
	}
	server.Close()
	client.Close()
}

func isRefusal(t *testing.T, err error, reason string) {
	t.Helper()
	refusal := jackfield.AsError(err)
	if err == nil || refusal.Kind != jackfield.Unavailable || refusal.Message != "service cannot be started" {
		t.Fatalf("got %v", err)
	}
	if !strings.Contains(refusal.Details.Error(), reason) {
		t.Errorf("%q is not in %q", reason, refusal.Details)
	}
}

func works(t *testing.T, route *command.Route) {
	t.Helper()
	d := take(t, route).serve()
	d.client.CloseWrite()
	d.readAll()
	if details, err := d.end(); details != "" || err != nil {
		t.Fatalf("got %q, %v", details, err)
	}
	d.close()
}

// What New found in order can change; the kernel has the last word, and the service recovers by itself.
func TestChecksAtOpen(t *testing.T) {
	asRoot(t)
	dir := publicDir(t)
	home := filepath.Join(dir, "home")
	path := filepath.Join(dir, "prog")
	repair := func() {
		os.Mkdir(home, 0o755)
		os.Chmod(home, 0o755)
		write(t, path, "#!/bin/sh\nexec cat\n", 0o755)
	}
	repair()
	route := newRoute(t, command.Options{Command: []string{path}, User: "nobody", Directory: home})
	for _, c := range []struct {
		damage func() error
		reason string
	}{
		{func() error { return os.Remove(path) }, "access to the program: no such file"},
		{func() error { return os.Chmod(path, 0o644) }, "access to the program: permission denied"},
		{func() error { return os.Chmod(path, 0o700) }, "access to the program: permission denied"},
		{func() error { return os.Remove(home) }, "changing to the directory: no such file"},
		{func() error { return os.Chmod(home, 0o700) }, "changing to the directory: permission denied"},
	} {
		works(t, route)
		if err := c.damage(); err != nil {
			t.Fatal(err)
		}
		refused(t, route, c.reason)
		repair()
	}
	works(t, route)
}

// What only execve finds comes after the listener's answer: the client is reset, and the log and audit say why.
func TestCannotBeExecuted(t *testing.T) {
	dir := publicDir(t)
	for name, c := range map[string]struct{ text, want string }{
		"garbage":        {"\x00\x01\x02", "executing the program: exec format error"},
		"no interpreter": {"#!/nowhere/sh\n", "executing the program: no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			var log logBuffer
			path := write(t, filepath.Join(dir, strings.ReplaceAll(name, " ", "-")), c.text, 0o755)
			d := take(t, newRoute(t, command.Options{Command: []string{path}, Log: log.logger()})).serve()
			if !isReset(d.client) {
				t.Error("the client was not reset")
			}
			if details, err := d.end(); details != c.want || err != nil {
				t.Errorf("got %q, %v", details, err)
			}
			if !strings.Contains(log.String(), c.want) || !strings.Contains(log.String(), "id=inst-7") {
				t.Errorf("the log says %q", log.String())
			}
			p := open(t, newRoute(t, command.Options{Command: []string{path}}))
			if got := p.readAll(); got != "" {
				t.Errorf("relayed: got %q", got)
			}
			if got := p.Wait(); got != c.want {
				t.Errorf("relayed: details are %q", got)
			}
		})
	}
}

func TestLimitThatRootCannotSet(t *testing.T) {
	asRoot(t)
	route := newRoute(t, command.Options{Command: []string{"/bin/cat"}, Limits: command.Limits{NoFile: limit(1 << 40)}})
	refused(t, route, "setting the limits: operation not permitted")
}

func TestOutOfDescriptors(t *testing.T) {
	route := newRoute(t, command.Options{Command: []string{"/bin/cat"}})
	works(t, route)
	client, server := tcpPair(t)
	defer client.Close()
	defer server.Close()
	restore := setLimit(t, os.Getpid(), unix.RLIMIT_NOFILE, uint64(len(descriptorsOf(t, os.Getpid()))))
	_, err := route.TakeSocket(t.Context(), request(), server)
	_, openErr := route.Open(t.Context(), request())
	restore()
	isRefusal(t, err, "too many open files")
	isRefusal(t, openErr, "too many open files")
	works(t, route)
}

// At each further descriptor that is left, something else fails; nothing may be left behind.
func TestAlmostOutOfDescriptors(t *testing.T) {
	launcher := newLauncher(t)
	route := newRoute(t, command.Options{Command: []string{"/bin/cat"}, Launcher: launcher})
	works(t, route)
	before := len(descriptorsOf(t, os.Getpid()))
	client, server := tcpPair(t)
	var succeeded bool
	for room := range 10 {
		restore := setLimit(t, os.Getpid(), unix.RLIMIT_NOFILE, uint64(before+2+room))
		taken, err := route.TakeSocket(t.Context(), request(), server)
		restore()
		if err == nil {
			taken.Release()
			succeeded = true
		}
	}
	if !succeeded {
		t.Error("ten descriptors are not enough")
	}
	client.Close()
	server.Close()
	if after := len(descriptorsOf(t, os.Getpid())); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
	noChildrenBut(t, launcher.PID())
	works(t, route)
}

func TestCancelledWhileOpening(t *testing.T) {
	route := newRoute(t, command.Options{Command: []string{"/bin/cat"}})
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("shutdown"))
	_, server := tcpPair(t)
	if taken, err := route.TakeSocket(ctx, request(), server); err == nil {
		taken.Release() // it was faster
	} else {
		isRefusal(t, err, "shutdown")
	}
}

func TestClosedClient(t *testing.T) {
	route := newRoute(t, command.Options{Command: []string{"/bin/cat"}})
	_, server := tcpPair(t)
	server.Close()
	_, err := route.TakeSocket(t.Context(), request(), server)
	isRefusal(t, err, "closed")
}

// A fork server that was killed is replaced.
func TestForkServerKilled(t *testing.T) {
	launcher := newLauncher(t)
	route := newRoute(t, command.Options{Command: []string{"/bin/cat"}, Launcher: launcher})
	works(t, route)
	running := take(t, route).serve()
	running.send("a")
	running.expect("a")
	pid := launcher.PID()
	syscall.Kill(pid, syscall.SIGKILL)
	eventually(t, "it has gone", func() bool { return !lives(pid) })
	works(t, route)
	if launcher.PID() == pid || lives(pid) {
		t.Error("it was not replaced")
	}
	running.client.CloseWrite()
	running.readAll()
	if details, err := running.end(); details != "" || err != nil {
		t.Errorf("the session of before: %q, %v", details, err)
	}
}

// A fork server that hangs is given up and replaced.
func TestForkServerHangs(t *testing.T) {
	launcher := newLauncher(t)
	route := newRoute(t, command.Options{Command: []string{"/bin/cat"}, Launcher: launcher})
	works(t, route)
	launcher.SetTimeout(100 * time.Millisecond)
	pid := launcher.PID()
	syscall.Kill(pid, syscall.SIGSTOP)
	client, server := tcpPair(t)
	_, err := route.TakeSocket(t.Context(), request(), server)
	isRefusal(t, err, "not ready within 100ms")
	client.Close()
	server.Close()
	launcher.SetTimeout(patience)
	works(t, route)
	if lives(pid) {
		t.Error("it was not replaced")
	}
}

func TestLauncherClosed(t *testing.T) {
	launcher := newLauncher(t)
	route := newRoute(t, command.Options{Command: []string{"/bin/cat"}, Launcher: launcher})
	running := take(t, route).serve()
	running.send("a")
	running.expect("a")
	launcher.Close()
	refused(t, route, "launcher is closed")
	running.send("b")
	running.expect("b")
	running.client.CloseWrite()
	running.end()
}

func setLimit(t *testing.T, pid, resource int, n uint64) (restore func()) {
	t.Helper()
	var old unix.Rlimit
	if err := unix.Prlimit(pid, resource, nil, &old); err != nil {
		t.Fatal(err)
	}
	if err := unix.Prlimit(pid, resource, &unix.Rlimit{Cur: n, Max: old.Max}, nil); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := unix.Prlimit(pid, resource, &old, nil); err != nil {
			t.Fatal(err)
		}
	}
}
