package command_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"jackfield/internal/route/command"
	"jackfield/internal/route/command/forkserver"
)

// After SIGKILL of the server its programs live on and are found again; a process that only waited to become one is gone,
// and so is the fork server.
func TestServerKilled(t *testing.T) {
	trace := filepath.Join(publicDir(t), "started")
	server := exec.Command("/proc/self/exe")
	server.Env = []string{"TEST_ROLE=server", "TRACE=" + trace}
	server.Stderr = os.Stderr
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	var launcher, running int
	if _, err := fmt.Fscan(bufio.NewReader(out), &launcher, &running); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(running, syscall.SIGKILL)
		eventually(t, "the program was killed", func() bool { return !lives(running) })
	})
	server.Process.Kill()
	server.Wait()

	eventually(t, "the fork server ended", func() bool { return !lives(launcher) })
	found, err := command.Survivors("inst-")
	if err != nil {
		t.Fatal(err)
	}
	want := command.Survivor{PID: running, Session: "inst-7", Service: "svc"}
	if len(found) != 1 || found[0] != want {
		t.Errorf("found %+v, want %+v", found, want)
	}
	if none, _ := command.Survivors("other-"); len(none) != 0 {
		t.Errorf("found %+v", none)
	}
	if exists(trace) {
		t.Error("a program went on without its server")
	}
}

// beServer has one program run and another one wait, says which they are, and waits to be killed.
func beServer() int {
	launcher := command.NewLauncher()
	pids := make(chan int)
	for _, script := range []string{"echo > " + os.Getenv("TRACE"), "echo $$; exec sleep 1000"} {
		route, err := command.New(command.Options{Command: shell(script), Launcher: launcher})
		if err != nil {
			return 1
		}
		client, accepted := pair()
		taken, err := route.TakeSocket(context.Background(), request(), accepted)
		if err != nil {
			return 1
		}
		if !strings.HasPrefix(script, "echo $$") {
			continue
		}
		go taken.Serve(context.Background())
		go func() {
			line, _ := bufio.NewReader(client).ReadString('\n')
			pid, _ := strconv.Atoi(strings.TrimSpace(line))
			pids <- pid
		}()
	}
	fmt.Println(launcher.PID(), <-pids)
	select {}
}

func pair() (client net.Conn, accepted *net.TCPConn) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer ln.Close()
	client, err = net.Dial("tcp", ln.Addr().String())
	if err != nil {
		panic(err)
	}
	conn, err := ln.Accept()
	if err != nil {
		panic(err)
	}
	return client, conn.(*net.TCPConn)
}

// Who makes a fork server of a binary that runs with more than his own rights does not get them.
func TestForkServerGivesUpPrivileges(t *testing.T) {
	asRoot(t)
	id, err := os.ReadFile("/usr/bin/id")
	if err != nil {
		t.Fatal(err)
	}
	control := write(t, filepath.Join(publicDir(t), "id"), string(id), 0o755|os.ModeSetuid|os.ModeSetgid)
	if got := outputAsNobody(t, control, "-u"); got != "0\n" {
		t.Fatalf("set-user-ID has no effect here: %q", got)
	}
	got := outputAsNobody(t, copyOfSelf(t, 0o755), "abuse", copyOfSelf(t, 0o755|os.ModeSetuid|os.ModeSetgid))
	if want := "Uid: 65534 65534 65534 65534\nGid: 65534 65534 65534 65534\n"; got != want {
		t.Errorf("got %q", got)
	}
}

func outputAsNobody(t *testing.T, path string, args ...string) string {
	t.Helper()
	cmd := exec.Command(path, args...)
	cmd.Dir, cmd.Stderr = "/", os.Stderr
	if args[0] == "abuse" {
		cmd.Env = []string{"TEST_ROLE=abuse"}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return string(out)
}

// abuseForkServer makes a fork server of the binary that it is given, and has that run a program.
func abuseForkServer() int {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 2
	}
	control, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 3
	}
	_, err = syscall.ForkExec(os.Args[2], []string{"abused"}, &syscall.ProcAttr{
		Env:   []string{forkserver.Variable + "=1"},
		Files: []uintptr{0, 1, 2, uintptr(pair[1])},
	})
	if err != nil {
		return 4
	}
	hello := make([]byte, forkserver.HelloSize)
	if n, err := syscall.Read(pair[0], hello); n != len(hello) || err != nil {
		return 5
	}
	spec := forkserver.Spec{
		Path: "/bin/sh", Directory: "/", Umask: -1,
		Args: []string{"sh", "-c", "grep -E '^[UG]id:' /proc/self/status | tr '\\t' ' '"},
	}
	request, err := spec.Encode(binary.NativeEndian.Uint64(hello[8:]), false)
	if err != nil {
		return 6
	}
	if err := syscall.Sendmsg(pair[0], request, syscall.UnixRights(control[1], 1), nil, 0); err != nil {
		return 7
	}
	syscall.Close(control[1])
	if _, err := syscall.Write(control[0], []byte{0}); err != nil {
		return 8
	}
	io.Copy(io.Discard, os.NewFile(uintptr(control[0]), "control")) // until it was executed
	for {
		if _, err := syscall.Wait4(-1, nil, 0, nil); err == syscall.ECHILD {
			return 0
		}
		syscall.Close(pair[0]) // now the fork server ends, too
	}
}
