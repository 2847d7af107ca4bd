package interop

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"jackfield/test/live"
)

// A server speaks TCPMUX and has two services: "plussvc" echoes, "dedsvc" says "+dedicated\r\n" itself and echoes.
type server struct {
	name    string
	version string
	address string
}

// What the services are to the peers, which start a program for each client.
const (
	plusProgram      = "/bin/cat"
	dedicatedProgram = "#!/bin/sh\nprintf '+dedicated\\r\\n'\nexec cat\n"
)

// start starts every server, for as long as the test runs.
func start(t *testing.T) []*server {
	t.Helper()
	return []*server{startJackfield(t), startXinetd(t), startInetutils(t)}
}

func startXinetd(t *testing.T) *server {
	t.Helper()
	program := peer(t, "xinetd", "usr/sbin/xinetd")
	dir := t.TempDir()
	port := freePort(t)
	config := fmt.Sprintf(xinetdConfig, port, userName(t), plusProgram, writeProgram(t, dir))
	run(t, port, exec.Command(program, "-dontfork", "-f", write(t, dir, "xinetd.conf", config, 0o644),
		"-filelog", filepath.Join(dir, "log"), "-pidfile", filepath.Join(dir, "pid")))
	return &server{"xinetd", version(t, program, "-version"), loopback(port)}
}

const xinetdConfig = `
defaults
{
	cps         = 100000 1
	instances   = UNLIMITED
	per_source  = UNLIMITED
	socket_type = stream
	protocol    = tcp
	wait        = no
}
service tcpmux
{
	type        = INTERNAL UNLISTED
	id          = tcpmux
	socket_type = stream
	protocol    = tcp
	wait        = no
	bind        = 127.0.0.1
	port        = %[1]d
	user        = %[2]s
}
service plussvc
{
	type        = TCPMUXPLUS UNLISTED
	socket_type = stream
	protocol    = tcp
	wait        = no
	user        = %[2]s
	server      = %[3]s
}
service dedsvc
{
	type        = TCPMUX UNLISTED
	socket_type = stream
	protocol    = tcp
	wait        = no
	user        = %[2]s
	server      = %[4]s
}
`

// startInetutils runs inetutils-inetd in a mount namespace of its own: it takes the port from /etc/services only.
func startInetutils(t *testing.T) *server {
	t.Helper()
	program := peer(t, "inetutils-inetd", "usr/sbin/inetutils-inetd")
	unshare := live.Unshare("--mount")
	if out, err := exec.Command(unshare[0], append(unshare[1:], "true")...).CombinedOutput(); err != nil {
		live.Missing(t, "private mount namespace", fmt.Sprintf("run the tests as root, or allow user namespaces (%s)", out))
	}
	dir := t.TempDir()
	port := freePort(t)
	config := fmt.Sprintf(inetutilsConfig, plusProgram, writeProgram(t, dir))
	command := append(unshare, "sh", "-c", `mount --bind "$0" /etc/services && exec "$@"`, writeServices(t, dir, port),
		program, "-d", "-R", "100000", "-p"+filepath.Join(dir, "pid"), write(t, dir, "inetd.conf", config, 0o644))
	run(t, port, exec.Command(command[0], command[1:]...))
	return &server{"inetutils-inetd", version(t, program, "--version"), loopback(port)}
}

const inetutilsConfig = `127.0.0.1:tcpmux stream tcp nowait root internal
tcpmux/+plussvc stream tcp nowait root %[1]s cat
tcpmux/dedsvc stream tcp nowait root %[2]s dedsvc
`

func writeServices(t *testing.T, dir string, port int) string {
	t.Helper()
	services, err := os.ReadFile("/etc/services")
	if err != nil {
		live.Missing(t, "/etc/services", "apt-get install netbase")
	}
	line := regexp.MustCompile(`(?m)^tcpmux\s+1/tcp`)
	changed := line.ReplaceAllLiteral(services, fmt.Appendf(nil, "tcpmux %d/tcp", port))
	return write(t, dir, "services", string(changed), 0o644)
}

// peer finds a program that test/peers/install.sh unpacked.
func peer(t *testing.T, pkg, program string) string {
	t.Helper()
	dir := os.Getenv("JACKFIELD_PEERS")
	if dir == "" {
		live.Missing(t, pkg, "run make test, or make peers and set JACKFIELD_PEERS to the full path of .cache/peers")
	}
	path := filepath.Join(dir, pkg, program)
	if _, err := os.Stat(path); err != nil {
		live.Missing(t, path, "run make peers")
	}
	return path
}

func userName(t *testing.T) string {
	t.Helper()
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return me.Username
}

func write(t *testing.T, dir, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func writeProgram(t *testing.T, dir string) string {
	t.Helper()
	return write(t, dir, "dedsvc", dedicatedProgram, 0o755)
}

var versionNumber = regexp.MustCompile(`\d+(\.\d+)+`)

func version(t *testing.T, program, flag string) string {
	t.Helper()
	out, err := exec.Command(program, flag).CombinedOutput() // xinetd ends with status 1
	found := versionNumber.Find(out)
	if found == nil {
		t.Fatalf("%s %s: %s (%v)", program, flag, out, err)
	}
	return string(found)
}

// run starts a peer and waits until it listens on port.
func run(t *testing.T, port int, cmd *exec.Cmd) {
	t.Helper()
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 5 * time.Second // for programs that hold the output open
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		<-ended
	})
	eventually(t, func() bool {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s ended: %v\n%s", cmd, err, output.String())
		default:
		}
		return listening(port)
	})
}

// freePort finds a port below those that the kernel gives to clients, so that none of them takes it meanwhile.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 20000 + rand.IntN(10000)
		if ln, err := net.Listen("tcp", loopback(port)); err == nil {
			ln.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// eventually waits for a condition.
func eventually(t *testing.T, met func() bool) {
	t.Helper()
	for deadline := time.Now().Add(live.Patience); !met(); {
		if time.Now().After(deadline) {
			t.Fatal("the condition was not met in time")
		}
		time.Sleep(5 * time.Millisecond)
	}
}
