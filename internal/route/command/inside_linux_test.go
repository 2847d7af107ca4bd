package command_test

import (
	"context"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"jackfield/internal/route/command"
)

func limit(n uint64) *uint64 { return &n }

// lines returns what a program said, sorted.
func lines(answer string) []string {
	return slices.Sorted(strings.Lines(answer))
}

func TestEnvironment(t *testing.T) {
	t.Setenv("KEPT", "kept")
	t.Setenv("NOT_KEPT", "secret")
	got := run(t, command.Options{
		Command:  []string{"/usr/bin/env"},
		User:     nameOf(t, os.Geteuid()),
		Env:      map[string]string{"A": "b=c", "PROTO": "overruled"},
		EnvKeep:  []string{"KEPT", "NOT_THERE", "NOT_KEPT"},
		EnvUnset: []string{"NOT_KEPT", "LOGNAME"},
		SockEnv:  true,
	})
	want := []string{
		"A=b=c\n",
		"HOME=" + homeOf(t, os.Geteuid()) + "\n",
		"JACKFIELD_SERVICE=svc\n",
		"JACKFIELD_SESSION=inst-7\n",
		"JACKFIELD_USER=alice\n",
		"KEPT=kept\n",
		"LOCALIP=192.0.2.1\n",
		"LOCALPORT=1\n",
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n",
		"PROTO=TCP\n",
		"REMOTEIP=192.0.2.7\n",
		"REMOTEPORT=4711\n",
		"SOCKTYPE=STREAM\n",
		"USER=" + nameOf(t, os.Geteuid()) + "\n",
	}
	if !slices.Equal(lines(got), want) {
		t.Errorf("got  %q\nwant %q", lines(got), want)
	}
}

func TestArguments(t *testing.T) {
	got := run(t, command.Options{Command: []string{"/bin/sh", "-c", `printf '%s|' "$0" "$@"`, "zero", "a b", "", "ü"}})
	if got != "zero|a b||ü|" {
		t.Errorf("got %q", got)
	}
	if got := run(t, command.Options{Command: shell("tr '\\0' '|' < /proc/$$/cmdline"), Arg0: "-me"}); !strings.HasPrefix(got, "-me|-c|") {
		t.Errorf("argv is %q", got)
	}
	if got := run(t, command.Options{Command: []string{"echo", "found"}}); got != "found\n" {
		t.Errorf("looked up in PATH: got %q", got)
	}
}

func TestIdentityInside(t *testing.T) {
	asRoot(t)
	status := []string{"/bin/sh", "-c", "grep -E '^(Uid|Gid|Groups|CapEff|CapPrm|CapAmb):' /proc/self/status | tr -s '\\t ' ' '"}
	const noCapabilities = "CapAmb: 0000000000000000\nCapEff: 0000000000000000\nCapPrm: 0000000000000000\n"
	for name, c := range map[string]struct {
		o    command.Options
		want string
	}{
		"user": {
			command.Options{User: "nobody"},
			noCapabilities + "Gid: 65534 65534 65534 65534\nGroups: 65534 \nUid: 65534 65534 65534 65534\n",
		},
		"number": {
			command.Options{User: "65534", Group: "12345"},
			noCapabilities + "Gid: 12345 12345 12345 12345\nGroups: 65534 \nUid: 65534 65534 65534 65534\n",
		},
		"groups": {
			command.Options{User: "nobody", Group: "daemon", Groups: []string{"bin", "4242"}},
			noCapabilities + "Gid: 1 1 1 1\nGroups: 2 4242 \nUid: 65534 65534 65534 65534\n",
		},
		"no groups": {
			command.Options{User: "nobody", Groups: []string{}},
			noCapabilities + "Gid: 65534 65534 65534 65534\nGroups: \nUid: 65534 65534 65534 65534\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.Command = status
			if got := strings.Join(lines(run(t, c.o)), ""); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	if got := run(t, command.Options{Command: status, Group: "daemon"}); !strings.Contains(got, "Gid: 1 1 1 1\n") || !strings.Contains(got, "Uid: 0 0 0 0\n") {
		t.Errorf("with a group alone: got %q", got)
	}
}

func TestUmaskNiceAndDirectory(t *testing.T) {
	asRoot(t)
	umask := fs.FileMode(0o027)
	dir := publicDir(t)
	got := run(t, command.Options{
		Command:   shell("umask; pwd; nice"),
		User:      "nobody",
		Umask:     &umask,
		Nice:      -3,
		Directory: dir,
	})
	if got != "0027\n"+dir+"\n-3\n" {
		t.Errorf("got %q", got)
	}
	if got := run(t, command.Options{Command: shell("pwd; nice"), Nice: 7}); got != "/\n7\n" {
		t.Errorf("got %q", got)
	}
	own := syscall.Umask(0o022)
	defer syscall.Umask(own)
	if got := run(t, command.Options{Command: shell("umask")}); got != "0022\n" {
		t.Errorf("inherited umask: got %q", got)
	}
}

func TestLimitsInside(t *testing.T) {
	asRoot(t)
	got := run(t, command.Options{
		Command: shell("grep -E '^Max (open|proc|cpu|addr|file size|core)' /proc/self/limits | tr -s ' '"),
		User:    "nobody",
		Limits: command.Limits{
			NoFile: limit(33), NProc: limit(1234), CPU: limit(60), AS: limit(1 << 30), FSize: limit(4096), Core: limit(0),
		},
	})
	want := []string{
		"Max address space 1073741824 1073741824 bytes \n",
		"Max core file size 0 0 bytes \n",
		"Max cpu time 60 60 seconds \n",
		"Max file size 4096 4096 bytes \n",
		"Max open files 33 33 files \n",
		"Max processes 1234 1234 processes \n",
	}
	if !slices.Equal(lines(got), want) {
		t.Errorf("got %q", lines(got))
	}
}

func TestLimitsBite(t *testing.T) {
	asRoot(t)
	d := take(t, newRoute(t, command.Options{Command: shell("while :; do :; done"), Limits: command.Limits{CPU: limit(1)}})).serve()
	d.readAll()
	d.client.Close()
	if details, _ := d.end(); details != "killed by SIGKILL" && details != "killed by SIGXCPU" {
		t.Errorf("got %q", details)
	}
}

// Go raised the server's own soft limit on descriptors; a program has that which the server was started with.
func TestInheritedDescriptorLimit(t *testing.T) {
	server := exec.Command("/bin/sh", "-c", "ulimit -Sn 123; ulimit -Hn 456; exec "+copyOfSelf(t, 0o755))
	server.Env = []string{"TEST_ROLE=limits"}
	if out, err := server.CombinedOutput(); err != nil || string(out) != "123\n456\n" {
		t.Errorf("got %q, %v", out, err)
	}
}

// printLimits is a server whose one program tells what limits it has.
func printLimits() int {
	launcher := command.NewLauncher()
	defer launcher.Close()
	route, err := command.New(command.Options{Command: shell("ulimit -Sn; ulimit -Hn"), Launcher: launcher})
	if err != nil {
		return 2
	}
	stream, err := route.Open(context.Background(), request())
	if err != nil {
		return 3
	}
	if _, err := io.Copy(os.Stdout, stream); err != nil {
		return 4
	}
	return 0
}

// A descriptor that the server itself was started with must not reach the program, and neither may one of its own.
func TestDescriptors(t *testing.T) {
	const inherited = 77
	if err := unix.Dup2(0, inherited); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(inherited)
	for _, stderr := range []command.Stderr{command.StderrLog, command.StderrSocket} {
		d := take(t, newRoute(t, command.Options{Command: shell("echo $$; exec cat"), Stderr: stderr})).serve()
		pid := d.expectPID()
		d.send("x")
		d.expect("x") // sh is gone, which may hold descriptors of its own
		got := descriptorsOf(t, pid)
		if len(got) != 3 || got["0"] != got["1"] || !strings.HasPrefix(got["0"], "socket:") {
			t.Errorf("with stderr = %q: %v", stderr, got)
		}
		if same := got["2"] == got["0"]; same != (stderr == command.StderrSocket) {
			t.Errorf("with stderr = %q it is %v", stderr, got["2"])
		}
		d.client.Close()
		d.end()
	}
}

// The program is what it would be under inetd: it leads its group, blocks in reads, and ignores no signal that the server does not.
func TestProgramIsOrdinary(t *testing.T) {
	got := run(t, command.Options{Command: shell(`
		cut -d' ' -f5 /proc/$$/stat; echo $$
		grep -E '^(SigBlk|SigIgn|flags):' /proc/$$/status /proc/$$/fdinfo/0 | tr -s '\t ' ' '`)})
	words := strings.Fields(got)
	if len(words) < 2 || words[0] != words[1] {
		t.Fatalf("group and process id: %q", got)
	}
	own, err := os.ReadFile("/proc/self/status") // what we ignore ourselves, under nohup for one, is inherited as ever
	if err != nil {
		t.Fatal(err)
	}
	_, ignored, _ := strings.Cut(string(own), "SigIgn:\t")
	ignored, _, _ = strings.Cut(ignored, "\n")
	for _, line := range []string{"SigBlk: 0000000000000000\n", "SigIgn: " + ignored + "\n", "flags: 02\n"} {
		if !strings.Contains(got, line) {
			t.Errorf("%q is not in %q", line, got)
		}
	}
}

func nameOf(t *testing.T, uid int) string { return passwd(t, uid)[0] }
func homeOf(t *testing.T, uid int) string { return passwd(t, uid)[5] }

func passwd(t *testing.T, uid int) []string {
	t.Helper()
	out, err := exec.Command("getent", "passwd", itoa(uid)).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(out)), ":")
}
