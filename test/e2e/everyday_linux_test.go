package e2e

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"jackfield/test/live"
)

// TestRawEnds: however a session at a raw terminal ends, the terminal is as it was before, and the exit status tells.
func TestRawEnds(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for _, test := range []struct {
		name   string
		end    func(t *testing.T, screen *terminal, process *os.Process)
		status int
		says   string
	}{
		{"escape key", func(t *testing.T, screen *terminal, _ *os.Process) { screen.types(t, "\x1d") }, 0, "the session is over"},
		{"SIGTERM", func(_ *testing.T, _ *terminal, process *os.Process) { process.Signal(syscall.SIGTERM) }, 130, "the session is over"},
		{"SIGHUP", func(_ *testing.T, _ *terminal, process *os.Process) { process.Signal(syscall.SIGHUP) }, 130, "the session is over"},
		{"cut", func(t *testing.T, _ *terminal, _ *os.Process) {
			// Those before have ended, which the server may notice a moment later.
			var ids []string
			if !eventually(func() bool {
				said, _ := d.run(t, 0, "sh", "-c", "jackfield sessions | awk 'NR > 1 {print $1}'")
				ids = strings.Fields(said)
				return len(ids) == 1
			}) {
				t.Fatalf("there are the sessions %v", ids)
			}
			d.run(t, 0, "jackfield", "disconnect", ids[0])
		}, 1, "the connection was reset: the service broke it, or the server cut the session"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cmd := d.command(t, "jackfield", "connect", "--raw", "loop")
			screen := startAtTerminal(t, cmd)
			screen.shows(t, "loop: Ctrl-] ends the session")
			screen.types(t, "hello")
			if !eventually(func() bool { return !screen.Echoes() && strings.Contains(screen.Text(), "hello") }) {
				t.Fatalf("no session:\n%s", screen.Text())
			}
			test.end(t, screen, cmd.Process)
			if status := screen.endOf(t, cmd); status != test.status {
				t.Errorf("exit status %d", status)
			}
			if !screen.Echoes() {
				t.Error("the terminal was left raw")
			}
			screen.shows(t, "the session is over")
			screen.shows(t, test.says)
		})
	}
}

// TestInterruptedPassword: Ctrl-C where a password is asked for ends the command, and the terminal shows again what is typed.
func TestInterruptedPassword(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	cmd := d.command(t, "jackfield", "login", d.address, "--user", "ada")
	screen := startAtTerminal(t, cmd)
	screen.shows(t, "Password of ada: ")
	if !eventually(func() bool { return !screen.Echoes() }) {
		t.Fatal("the password would be shown")
	}
	screen.types(t, "half of it\x03")
	if status := screen.endOf(t, cmd); status != 130 {
		t.Errorf("exit status %d:\n%s", status, screen.Text())
	}
	if !screen.Echoes() {
		t.Error("the terminal was left without echo")
	}
	d.run(t, 0, "jackfield", "ls") // the login before is as it was
}

// TestProgress: a terminal sees how much was carried, while what is carried goes through files.
func TestProgress(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	text := pattern(11, 16<<20)
	writeFile(t, filepath.Join(d.dir, "given"), string(text))
	given, err := os.Open(filepath.Join(d.dir, "given"))
	if err != nil {
		t.Fatal(err)
	}
	defer given.Close()
	got, err := os.Create(filepath.Join(d.dir, "got"))
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	cmd := d.command(t, "jackfield", "connect", "--progress", "loop")
	cmd.Stdin, cmd.Stdout = given, got
	screen := startAtTerminal(t, cmd)
	if status := screen.endOf(t, cmd); status != 0 {
		t.Errorf("exit status %d:\n%s", status, screen.Text())
	}
	screen.showsInTurn(t, "\r16.0 MiB sent, 16.0 MiB received, ", "iB/s")
	if back := fileText(t, got.Name()); back != string(text) {
		t.Errorf("%d bytes came back, and not those that were sent", len(back))
	}
}

// TestTokenExpires: a session ends with its token; the audit says so, and so does the command, with what to do.
func TestTokenExpires(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for lifetime := 2 * time.Second; ; lifetime *= 2 { // on a busy machine, the token may end before there is a login, or a session
		login := d.command(t, "sh", "-c", "jackfield token add admin --lifetime "+lifetime.String()+" --socket data/admin.sock | "+
			"jackfield login "+d.address+" --context short --token-stdin --trust")
		if said, err := login.CombinedOutput(); err != nil && lifetime < live.Patience/4 {
			continue
		} else if err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		cmd := d.command(t, "jackfield", "connect", "--context", "short", "loop")
		input, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		var complaint bytes.Buffer
		cmd.Stderr = &complaint
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		watchdog := time.AfterFunc(live.Patience, func() { cmd.Process.Kill() })
		cmd.Wait()
		watchdog.Stop()
		input.Close()
		if cmd.ProcessState.ExitCode() != 1 {
			t.Fatalf("%v: %s", cmd.ProcessState, &complaint)
		}
		if strings.Contains(complaint.String(), "the session was cut: the token is not valid: log in again [") &&
			strings.Contains(complaint.String(), "(jackfield login https://"+d.address+")") {
			break
		}
		if lifetime > live.Patience/4 {
			t.Fatalf("it says %q", &complaint)
		}
	}
	audit := filepath.Join(d.dir, "data/audit.jsonl")
	if !eventually(func() bool { // of a session in vain, too, in which the command could not ask why
		return len(live.Select(fileText(t, audit), live.Equal("event", "close"), live.Equal("end", "token expired"))) > 0
	}) {
		t.Errorf("the audit does not say why:\n%s", fileText(t, audit))
	}
}

// TestRenewedCertificate: another certificate by the authority that is pinned is taken without a word.
func TestRenewedCertificate(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	shown := func() string {
		conn, err := tls.Dial("tcp", d.address, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	first := shown()
	writeConfig(t, d.dir, strings.Replace(deskConfig, `listen   = env("address")`, `listen   = env("address")
  names    = ["desk.example.org"]`, 1))
	d.run(t, 0, "jackfield", "reload", "--socket", "data/admin.sock")
	if !eventually(func() bool { return shown() != first }) {
		t.Fatal("the server shows the same certificate")
	}
	for _, args := range [][]string{{"ls"}, {"connect", "loop", "<jackfield.hcl"}, {"login", "--token-stdin", "<token"}} {
		if args[0] == "login" {
			d.run(t, 0, "sh", "-c", "jackfield token add admin --socket data/admin.sock > token")
		}
		if _, complaint := d.run(t, 0, append([]string{"jackfield"}, args...)...); complaint != "" {
			t.Errorf("%v: %q", args, complaint)
		}
	}
}

// TestForwardReload: what is forwarded goes on through a reload, and follows what it changes.
func TestForwardReload(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	forward, local := d.forward(t, "loop")
	conn := dialLocal(t, local)
	talk(t, conn, "before")

	without := strings.Replace(deskConfig, `service "loop"`, `service "renamed"`, 1)
	reload := func(config string) {
		t.Helper()
		writeConfig(t, d.dir, config)
		d.run(t, 0, "jackfield", "reload", "--socket", "data/admin.sock")
	}
	reload(deskConfig + "# the same\n")
	talk(t, conn, "same")
	if err := echoes(local, 1<<20); err != nil {
		t.Error(err)
	}
	reload(without)
	talk(t, conn, "without")
	if err := echoes(local, 1); err == nil {
		t.Error("a service that is gone answers")
	}
	if err := forward.WaitFor(func(said string) bool {
		return strings.Contains(said, "loop: https://"+d.address+": service not available")
	}); err != nil {
		t.Error(err)
	}
	reload(deskConfig)
	talk(t, conn, "again")
	if err := echoes(local, 1<<20); err != nil {
		t.Error(err)
	}
	if err := forward.WaitFor(func(said string) bool { return strings.Contains(said, "loop can be reached again") }); err != nil {
		t.Error(err)
	}
}

// TestForwardNewLogin: a new login, which makes the token of the one before void, is taken up.
func TestForwardNewLogin(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	_, local := d.forward(t, "loop")
	conn := dialLocal(t, local)
	talk(t, conn, "before")
	d.run(t, 0, "sh", "-c", "jackfield token add admin --socket data/admin.sock | jackfield login --token-stdin")
	conn.SetReadDeadline(time.Now().Add(live.Patience))
	if n, err := conn.Read(make([]byte, 1)); n > 0 || os.IsTimeout(err) {
		t.Errorf("a session outlives its token: %v", err)
	}
	if err := echoes(local, 1<<20); err != nil {
		t.Errorf("with the new token: %v", err)
	}
	d.run(t, 0, "sh", "-c", "jackfield logout")
	if err := echoes(local, 1); err == nil {
		t.Error("after the logout there is an answer")
	}
}

// forward starts to forward a service and returns where it is.
func (d *desk) forward(t *testing.T, service string) (p *live.Process, local string) {
	t.Helper()
	p, err := live.Start(d.command(t, "jackfield", "forward", service))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
	})
	begin := service + " is at "
	if err := p.WaitFor(func(said string) bool { return strings.HasPrefix(said, begin) && strings.Contains(said, "\n") }); err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(p.Output(), "\n")
	return p, strings.TrimPrefix(line, begin)
}

func dialLocal(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// talk says something to an echo, which must come back.
func talk(t *testing.T, conn io.ReadWriter, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(text))
	if c, is := conn.(net.Conn); is {
		c.SetReadDeadline(time.Now().Add(live.Patience))
	}
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != text {
		t.Fatalf("%q came back, not %q: %v", got, text, err)
	}
}
