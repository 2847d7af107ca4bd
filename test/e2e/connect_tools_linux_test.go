package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"jackfield/test/live"
)

// toolConfig is a server of whose services the test decides.
const toolConfig = `
data_dir = "data"
listener "web" {
  protocol = "https"
  listen   = "127.0.0.1:0"
  min_tls  = "1.2"
}
listener "plain" {
  protocol = "http"
  listen   = "127.0.0.1:0"
}
`

// A toolbox is an office whose clients are programs that are not Go.
type toolbox struct {
	*office
	environment []string
}

// newToolbox starts a server with services at addresses of this machine, by name.
func newToolbox(t *testing.T, services map[string]string) *toolbox {
	t.Helper()
	config := toolConfig
	for name, address := range services {
		config += fmt.Sprintf("service %q {\n  listeners = [\"web\", \"plain\"]\n  address = %q\n}\n", name, address)
	}
	b := &toolbox{office: newOffice(t, config)}
	authority := filepath.Join(b.dir, "authority.pem")
	writeFile(t, authority, b.cli(t, "", "certificate", "authority")+"\n")
	peers, err := filepath.Abs("../peers")
	if err != nil {
		t.Fatal(err)
	}
	_, web, _ := net.SplitHostPort(b.Addresses["web"])
	_, plain, _ := net.SplitHostPort(b.Addresses["plain"])
	b.environment = append(os.Environ(), "WEB="+web, "PLAIN="+plain, "AUTHORITY="+authority, "PEERS="+peers,
		"CONNECT="+compile(t, filepath.Join(peers, "connect/connect.c")))
	return b
}

// compile makes a program that uses OpenSSL's library.
func compile(t *testing.T, source string) (program string) {
	t.Helper()
	if _, err := os.Stat("/usr/include/openssl/ssl.h"); err != nil {
		live.Missing(t, "header of OpenSSL", "apt-get install libssl-dev")
	}
	program = filepath.Join(t.TempDir(), "program")
	runTool(t, nil, tool(t, "gcc", "apt-get install gcc"), "-Wall", "-Wextra", "-Werror", "-O2", "-o", program, source, "-lssl", "-lcrypto")
	return program
}

// A program joins its standard input and output to a service. Its line of shell knows
//
//	$WEB, $PLAIN  the ports of the listeners at 127.0.0.1
//	$AUTHORITY    the file of the server's authority
//	$CLIENT       a user
//	$TOKEN        that user's token
//	$SERVICE      the name of the service
//	$PEERS        test/peers
//	$CONNECT      test/peers/connect/connect.c, compiled
type program struct {
	name   string
	needs  string // is found in $PATH
	line   string
	asks   bool   // its terminal for the token
	prefix string // of its output, before the service's
}

// netcat asks its terminal for the token.
func netcat() program {
	return program{name: "nc, http", needs: "nc", line: `nc -N -X connect -x 127.0.0.1:$PLAIN -P $CLIENT $SERVICE 1`, asks: true}
}

func proxytunnelTLS() program {
	return program{name: "proxytunnel, https", needs: "proxytunnel",
		line: `proxytunnel -q -E -C $AUTHORITY -p localhost:$WEB -P $CLIENT:$TOKEN -d $SERVICE:1`}
}

// sClient is OpenSSL's client, which is told by its input to speak CONNECT.
func sClient() program {
	return program{name: "s_client, https", needs: "openssl", prefix: "HTTP/1.1 200 Connection established\r\n\r\n",
		line: `{ printf 'CONNECT %s:1 HTTP/1.1\r\nProxy-Authorization: Bearer %s\r\n\r\n' $SERVICE $TOKEN; cat; } |` +
			`openssl s_client -quiet -verify_quiet -CAfile $AUTHORITY -verify_return_error -servername localhost -connect 127.0.0.1:$WEB`}
}

// debianPython is not the one that a version manager has put before it.
const debianPython = "/usr/bin/python3"

// python is a script of ours, and what it does as its input ends.
func python(end string) program {
	return program{name: "python3, http, " + end, needs: debianPython,
		line: debianPython + ` -IS $PEERS/connect/connect.py $PLAIN - $SERVICE:1 ` + end}
}

func pythonTLS(end string) program {
	return program{name: "python3, https, " + end, needs: debianPython,
		line: debianPython + ` -IS $PEERS/connect/connect.py $WEB $AUTHORITY $SERVICE:1 ` + end}
}

// libssl is a program of ours on OpenSSL's library, and what it does as its input ends.
func libssl(version, end string) program {
	return program{name: "libssl, TLS " + version + ", " + end, needs: "gcc",
		line: fmt.Sprintf(`$CONNECT $WEB $AUTHORITY %s $SERVICE:1 %s`, version, end)}
}

// A toolClient is a user for whom programs run, and the service that these are to reach.
type toolClient struct{ user, token, service string }

// client makes a user.
func (b *toolbox) client(t *testing.T, user, service string) toolClient {
	t.Helper()
	return toolClient{user, b.token(t, user), service}
}

// A toolRun is a program that runs.
type toolRun struct {
	in    io.WriteCloser
	out   io.ReadCloser
	cmd   *exec.Cmd
	wait  func() error
	words *bytes.Buffer // of standard error, once wait has returned
}

// start starts a program. It is killed when it has run for too long, or the test ends.
func (b *toolbox) start(t *testing.T, p program, c toolClient, patience time.Duration) *toolRun {
	t.Helper()
	tool(t, p.needs, "run make peers")
	itsIn, in := pipe(t)
	out, itsOut := pipe(t)
	cmd := exec.Command("sh", "-c", "{ "+p.line+"; } <&3 >&4 3<&- 4>&-")
	cmd.Dir, cmd.Env = b.dir, append(slices.Clip(b.environment), "CLIENT="+c.user, "TOKEN="+c.token, "SERVICE="+c.service)
	cmd.ExtraFiles = []*os.File{itsIn, itsOut}
	r := &toolRun{in: in, out: out, cmd: cmd, words: new(bytes.Buffer)}
	if p.asks {
		startAtTerminal(t, cmd).answer(t, "Proxy password for "+c.user+"@127.0.0.1: ", c.token)
	} else {
		cmd.Stderr, cmd.WaitDelay = r.words, live.Patience
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
	}
	itsIn.Close()
	itsOut.Close()
	watchdog := time.AfterFunc(patience, func() { r.signal(syscall.SIGKILL) })
	r.wait = sync.OnceValue(func() error {
		defer watchdog.Stop()
		return cmd.Wait()
	})
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			r.signal(syscall.SIGKILL)
		}
		r.wait()
	})
	return r
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// signal signals all processes of the program.
func (r *toolRun) signal(s syscall.Signal) { syscall.Kill(-r.cmd.Process.Pid, s) }

// status is what a program has ended with.
func (r *toolRun) status() int { return r.cmd.ProcessState.ExitCode() }

// says is what a program has complained of.
func (r *toolRun) says() string { return strings.TrimSpace(r.words.String()) }

// How the audit says that a session has ended.
const inOrder, clientBroke, serviceBroke = "finished", "client reset", "service reset"

// expectEnds wants that the audit says of a client's sessions how each has ended, and that there are so many. It returns them.
func (b *toolbox) expectEnds(t *testing.T, c toolClient, end string, times int) []live.Line {
	t.Helper()
	closed := func() []live.Line {
		return auditLines(t, b.dir, live.Equal("event", "close"), live.Equal("user", c.user))
	}
	if !eventually(func() bool { return len(closed()) >= times }) || len(closed()) > times {
		t.Errorf("there were %d sessions, not %d", len(closed()), times)
	}
	for _, line := range closed() {
		if line["end"] != end {
			t.Errorf("a session did not end with %q: %v", end, line)
		}
	}
	return closed()
}
