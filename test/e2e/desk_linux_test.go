package e2e

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"jackfield/test/live"
)

// deskConfig is a server that people use by the command line. $address is that of its listener, so that another server can take
// its place.
const deskConfig = `
data_dir = env("data")
listener "web" {
  protocol = "https"
  listen   = env("address")
}
service "echo" {
  listeners = ["web"]
  address   = env("echo")
}
service "loop" {
  listeners = ["web"]
  builtin   = "echo"
}
station "board-1" {
  listeners = ["web"]
  lease     = "none"
  service "ssh" { address = "127.0.0.1:2222" }
}
`

// A desk is where a person sits: a directory with the server's files and one for the person's logins.
type desk struct {
	*live.Server
	dir     string
	address string
	echo    string
}

// newDesk starts a server and logs in to it.
func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{dir: t.TempDir(), address: "127.0.0.1:" + freePort(t), echo: startEcho(t)}
	writeConfig(t, d.dir, deskConfig)
	d.serve(t, "data")
	t.Cleanup(func() { d.stop(t) })
	d.run(t, 0, "jackfield", "login", d.address, "--trust", "--token-stdin", "<data/first-token")
	return d
}

// serve starts a server with that data directory.
func (d *desk) serve(t *testing.T, data string) {
	t.Helper()
	s, err := live.Serve(d.dir, "jackfield.hcl", "data="+data, "address="+d.address, "echo="+d.echo)
	if err != nil {
		t.Fatal(err)
	}
	d.Server = s
}

func (d *desk) stop(t *testing.T) {
	t.Helper()
	if err := d.Server.Stop(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
}

// command returns a person's command. An argument <FILE is its standard input.
func (d *desk) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	var cmd *exec.Cmd
	if file, is := strings.CutPrefix(args[len(args)-1], "<"); is {
		cmd = exec.Command(args[0], args[1:len(args)-1]...)
		text, err := os.ReadFile(filepath.Join(d.dir, file))
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stdin = bytes.NewReader(text)
	} else {
		cmd = exec.Command(args[0], args[1:]...)
	}
	cmd.Dir = d.dir
	cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+filepath.Join(d.dir, "config"))
	return cmd
}

// run runs a person's command, which must end with the status, and returns what it says and what it complains of.
func (d *desk) run(t *testing.T, status int, args ...string) (said, complaint string) {
	t.Helper()
	cmd := d.command(t, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != status {
		t.Fatalf("%s: %v, not status %d\n%s%s", cmd, err, status, &out, &errs)
	}
	return out.String(), errs.String()
}

// TestForward: a forwarded port carries what TCP does, outlives the server, and ends with its process.
func TestForward(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	local := "127.0.0.1:" + freePort(t)
	forward, err := live.Start(d.command(t, "jackfield", "forward", "echo", local, "loop"))
	if err != nil {
		t.Fatal(err)
	}
	if err := forward.WaitFor(func(said string) bool { return strings.Contains(said, "loop is at 127.0.0.1:") }); err != nil {
		t.Fatal(err)
	}
	if want := "echo is at " + local + "\n"; !strings.HasPrefix(forward.Output(), want) {
		t.Errorf("it says %q", forward.Output())
	}
	if err := echoes(local, 16<<20); err != nil {
		t.Fatal(err)
	}
	d.stop(t)
	if err := echoes(local, 1); err == nil {
		t.Error("without a server there is an answer")
	}
	if err := echoes(local, 1); err == nil {
		t.Error("without a server there is an answer")
	}
	if err := forward.WaitFor(func(said string) bool { return strings.Contains(said, "did not answer") }); err != nil {
		t.Error(err)
	}
	d.serve(t, "data")
	if err := echoes(local, 1<<20); err != nil {
		t.Errorf("with the server back: %v", err)
	}
	if !eventually(func() bool { return strings.Contains(forward.Output(), "echo can be reached again") }) {
		t.Error("it does not say that the server is back")
	}
	if n := strings.Count(forward.Output(), "did not answer"); n != 1 {
		t.Errorf("it complains %d times:\n%s", n, forward.Output())
	}
	open, err := net.Dial("tcp", local)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if err := forward.Stop(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	open.SetReadDeadline(time.Now().Add(live.Patience))
	if n, err := open.Read(make([]byte, 1)); n > 0 || os.IsTimeout(err) {
		t.Errorf("a connection goes on without its process: %v", err)
	}
}

// echoes sends so many bytes, ends its side, and compares what comes back.
func echoes(address string, size int) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(live.Patience))
	text := pattern(7, size)
	sent := make(chan error, 1)
	go func() {
		_, err := conn.Write(text)
		if err == nil {
			err = conn.(*net.TCPConn).CloseWrite()
		}
		sent <- err
	}()
	sum := sha256.New()
	n, err := io.Copy(sum, conn)
	if err == nil {
		err = <-sent
	}
	if err == nil && [sha256.Size]byte(sum.Sum(nil)) != sha256.Sum256(text) {
		err = fmt.Errorf("%d bytes came back, and not those that were sent", n)
	}
	return err
}

// What "forward" prints for shells, and what it does not take.
func TestForwardEnvironment(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	script := `jackfield forward --print-env board-1 loop > env & pid=$!
while ! grep -q LOOP_PORT env; do sleep 0.05; done
. ./env; test "$JACKFIELD_LOOP" = "127.0.0.1:$JACKFIELD_LOOP_PORT" && echo hello | nc -N 127.0.0.1 $JACKFIELD_LOOP_PORT
cut -d= -f1 env; kill $pid; wait $pid`
	if said, _ := d.run(t, 0, "sh", "-c", script); said != "hello\nJACKFIELD_SSH_BOARD_1\nJACKFIELD_SSH_BOARD_1_PORT\nJACKFIELD_LOOP\nJACKFIELD_LOOP_PORT\n" {
		t.Errorf("it says %q", said)
	}
	for _, test := range []struct {
		status int
		want   string
		args   []string
	}{
		{1, `there is no service "nosuch" that you may use`, []string{"echo", "nosuch"}},
		{1, "echo cannot be forwarded", []string{"echo", d.address}},
		{2, `"70000" is not a port`, []string{"echo", "70000"}},
		{2, `"8080:80:1" is neither a port nor`, []string{"echo", "8080:80:1"}},
		{2, "service name", []string{"two words"}},
		{2, "--print-env and --json contradict", []string{"--print-env", "--json", "echo"}},
		{2, "usage", nil},
	} {
		if _, complaint := d.run(t, test.status, append([]string{"jackfield", "forward"}, test.args...)...); !strings.Contains(complaint, test.want) {
			t.Errorf("%v: %q", test.args, complaint)
		}
	}
}

// TestConnectTerminal: at a raw terminal every key goes to the service, and Ctrl-] ends the session.
func TestConnectTerminal(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	cmd := d.command(t, "jackfield", "connect", "--raw", "loop")
	screen := startAtTerminal(t, cmd)
	if !eventually(func() bool {
		return strings.Contains(screen.Text(), "loop: Ctrl-] ends the session") && !screen.Echoes()
	}) {
		t.Fatalf("no session:\n%s", screen.Text())
	}
	if err := screen.Type("a\x03\x04z"); err != nil { // Ctrl-C and Ctrl-D are bytes like others
		t.Fatal(err)
	}
	if !eventually(func() bool { return strings.Contains(screen.Text(), "a\x03\x04z") }) {
		t.Errorf("the service does not get the keys: %q", screen.Text())
	}
	if err := screen.Type("\x1d"); err != nil {
		t.Fatal(err)
	}
	watchdog := time.AfterFunc(live.Patience, func() { cmd.Process.Kill() })
	defer watchdog.Stop()
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v:\n%s", err, screen.Text())
	}
	if !screen.Echoes() {
		t.Error("the terminal was left raw")
	}
}

// TestLoginAtTerminal: a stranger's fingerprint is asked about before anything else.
func TestLoginAtTerminal(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.run(t, 0, "sh", "-c", "echo correct horse | jackfield user add ada --password-stdin --socket data/admin.sock")
	login := func(answers ...string) (shown string, status int) {
		cmd := d.command(t, "jackfield", "login", d.address, "--context", "second")
		screen := startAtTerminal(t, cmd)
		for i := 0; i < len(answers); i += 2 {
			if !eventually(func() bool { return strings.HasSuffix(screen.Text(), answers[i]) }) {
				t.Fatalf("%q is not asked:\n%s", answers[i], screen.Text())
			}
			if secret := strings.HasPrefix(answers[i], "Password"); secret && !eventually(func() bool { return !screen.Echoes() }) {
				t.Fatal("the password would be shown")
			}
			if err := screen.Type(answers[i+1] + "\n"); err != nil {
				t.Fatal(err)
			}
		}
		watchdog := time.AfterFunc(live.Patience, func() { cmd.Process.Kill() })
		defer watchdog.Stop()
		cmd.Wait()
		return screen.All(), cmd.ProcessState.ExitCode()
	}
	const question, again = "Is it? (yes/no/fingerprint) ", "Please type yes, no or the fingerprint: "
	for _, answers := range [][]string{{question, "no"}, {question, "y", again, "no"}, {question, "\x04"}} {
		shown, status := login(answers...)
		if status != 1 || strings.Contains(shown, "Password") || !strings.Contains(shown, "nothing was sent to it") {
			t.Errorf("%q: status %d:\n%s", answers, status, shown)
		}
	}
	user := "User at https://" + d.address + ": "
	if shown, status := login(question, "Yes", user, "ada", "Password of ada: ", "correct horse"); status != 0 || strings.Contains(shown, "correct horse") {
		t.Errorf("status %d:\n%s", status, shown)
	}
	if said, _ := d.run(t, 0, "jackfield", "status"); !strings.Contains(said, "ada") {
		t.Errorf("status says %q", said)
	}
}

// TestPin: a server's new authority is followed while the old one vouches for it; another server in its place gets nothing.
func TestPin(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	pinned := func() int {
		text, err := os.ReadFile(filepath.Join(d.dir, "config/jackfield/contexts", strings.ReplaceAll(d.address, ":", "-")+".json"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(text), "BEGIN CERTIFICATE")
	}
	if n := pinned(); n != 1 {
		t.Errorf("%d certificates are pinned at first", n)
	}
	d.run(t, 0, "jackfield", "certificate", "rotate", "--socket", "data/admin.sock")
	if !eventually(func() bool { // a command that has no time to follow leaves it to the next one
		d.run(t, 0, "sh", "-c", "echo x | jackfield connect echo")
		return pinned() == 2
	}) {
		t.Errorf("%d certificates are pinned after the rotation", pinned())
	}
	d.run(t, 0, "jackfield", "certificate", "retire", "--socket", "data/admin.sock")
	d.run(t, 0, "jackfield", "ls")
	d.run(t, 0, "sh", "-c", "echo x | jackfield connect echo")

	d.stop(t)
	d.serve(t, "other")
	for _, args := range [][]string{{"ls"}, {"connect", "echo"}, {"status"}, {"login", d.address, "--token-stdin", "<other/first-token"},
		{"login", d.address, "--token-stdin", "--trust", "<other/first-token"}} {
		_, complaint := d.run(t, 1, append([]string{"jackfield"}, args...)...)
		if !strings.Contains(complaint, "somebody may be in between") || !strings.Contains(complaint, "login https://"+d.address+" --fingerprint") {
			t.Errorf("%v: %q", args, complaint)
		}
	}
	if records := live.Select(fileText(t, filepath.Join(d.dir, "other/audit.jsonl")), live.Equal("event", "call")); len(records) > 0 {
		t.Errorf("the other server was asked: %v", records)
	}
	_, fingerprint := d.run(t, 0, "jackfield", "certificate", "authority", "--socket", "other/admin.sock")
	fingerprint = strings.TrimSpace(fingerprint[strings.LastIndex(fingerprint, " "):])
	d.run(t, 0, "jackfield", "login", d.address, "--token-stdin", "--fingerprint", fingerprint, "<other/first-token")
	d.run(t, 0, "jackfield", "ls")
}

func fileText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestConnectSSH: ssh, scp and what ssh-config prints, by ProxyCommand.
func TestConnectSSH(t *testing.T) {
	t.Parallel()
	sshd := peerProgram(t, "openssh-server", "usr/sbin/sshd")
	home := newNamespace(t)
	d := &desk{dir: t.TempDir(), address: "127.0.0.1:1443"}
	keys := startSSH(t, home, sshd, filepath.Join(d.dir, "ssh"))
	writeConfig(t, d.dir, deskConfig)
	environment := append(os.Environ(), "data=data", "address="+d.address, "echo=127.0.0.1:1", "XDG_CONFIG_HOME="+filepath.Join(d.dir, "config"))
	there := func(args ...string) *exec.Cmd {
		cmd := home.command(args...)
		cmd.Dir, cmd.Env = d.dir, environment
		return cmd
	}
	s, err := live.ServeCommand(there("jackfield", "serve", "--config", "jackfield.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	d.Server = s
	t.Cleanup(func() { d.stop(t) })
	run := func(input string, args ...string) string {
		t.Helper()
		cmd := there(args...)
		cmd.Stdin = strings.NewReader(input)
		var out, complaint bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &complaint
		watchdog := time.AfterFunc(live.Patience, func() { cmd.Process.Kill() })
		defer watchdog.Stop()
		if err := cmd.Run(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, &complaint)
		}
		return out.String()
	}
	run(fileText(t, filepath.Join(d.dir, "data/first-token")), "jackfield", "login", d.address, "--trust", "--token-stdin")

	text := string(pattern(8, 4<<20))
	if out := run(text, sshCommand(keys, "ProxyCommand=jackfield connect board-1", "cat")...); out != text {
		t.Errorf("%d bytes came back, and not those that were sent", len(out))
	}

	// What ssh-config prints is enough. Only for the test, the keys are told as well, and a host of the same beginning is tried.
	config := run("", "jackfield", "ssh-config")
	writeFile(t, filepath.Join(d.dir, "ssh_config"), config+fmt.Sprintf(`
Host *
    IdentityFile %[1]s/user
    IdentitiesOnly yes
    BatchMode yes
    UserKnownHostsFile %[1]s/known_hosts
    GlobalKnownHostsFile none
    HostKeyAlias device
`, keys))
	if out := run("", "ssh", "-F", "ssh_config", "ssh.board-1", "echo reached"); out != "reached\n" {
		t.Errorf("ssh says %q", out)
	}
	run("", "scp", "-O", "-F", "ssh_config", "-q", "jackfield.hcl", "ssh.board-1:"+filepath.Join(d.dir, "copy.hcl"))
	if fileText(t, filepath.Join(d.dir, "copy.hcl")) != deskConfig {
		t.Error("scp has copied something else")
	}
	if out := run("", "ssh", "-F", "ssh_config", "-G", "ssh.github.com"); strings.Contains(out, "jackfield") {
		t.Error("another host is reached by Jackfield")
	}

	// An sshd that drops us lets ssh end, though its input goes on.
	cmd := there(sshCommand(keys, "ProxyCommand=jackfield connect ssh.board-1", "kill $PPID")...)
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer input.Close()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	watchdog := time.AfterFunc(live.Patience, func() { cmd.Process.Kill() })
	defer watchdog.Stop()
	if cmd.Wait(); cmd.ProcessState.ExitCode() != 255 {
		t.Errorf("ssh: %v", cmd.ProcessState)
	}
}

// TestFollowAudit: "audit -f" shows what was and what comes, once each and in order, also when the server was away.
func TestFollowAudit(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.run(t, 0, "sh", "-c", "echo before | jackfield connect loop; echo before | jackfield connect echo")
	if !eventually(func() bool { // what has happened is in the store, where it is asked for, a moment later
		said, _ := d.run(t, 0, "jackfield", "audit", "--event", "open")
		return strings.Count(said, " open ") == 2
	}) {
		t.Fatal("the sessions are not in the audit")
	}
	follow, err := live.Start(d.command(t, "jackfield", "audit", "-f", "--event", "open", "-n", "1"))
	if err != nil {
		t.Fatal(err)
	}
	shown := func(services ...string) {
		t.Helper()
		if !eventually(func() bool { return strings.Count(follow.Output(), " open ") >= len(services) }) {
			t.Fatalf("it does not show %v:\n%s", services, follow.Output())
		}
		var got []string
		for line := range strings.Lines(follow.Output()) {
			if words := strings.Fields(line); len(words) > 4 && words[3] == "open" {
				got = append(got, words[4])
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(services) {
			t.Fatalf("it shows %v, not %v:\n%s", got, services, follow.Output())
		}
	}
	shown("echo")
	d.run(t, 0, "sh", "-c", "echo meanwhile | jackfield connect loop")
	shown("echo", "loop")
	d.stop(t)
	d.serve(t, "data")
	d.run(t, 0, "sh", "-c", "echo after | jackfield connect echo")
	shown("echo", "loop", "echo")
	if err := follow.Stop(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
}
