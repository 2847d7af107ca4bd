package interop

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"jackfield/test/live"
	"jackfield/wire/tcpmux"
)

// TestClient holds our client, as a command and as a library, against every server.
func TestClient(t *testing.T) {
	for _, s := range start(t) {
		t.Run(s.name, func(t *testing.T) {
			for _, c := range clientCases {
				t.Run(c.name, func(t *testing.T) { c.test(t, s) })
			}
			t.Run("list", func(t *testing.T) { testList(t, s) })
			t.Run("library", func(t *testing.T) { testLibrary(t, s) })
		})
	}
}

// A clientCase is a run of "jackfield tcpmux" with "hello" on its standard input.
type clientCase struct {
	name    string
	service string
	flags   []string
	stdout  func(*server) string
	status  int
	stderr  string // a part of it
}

var clientCases = []clientCase{
	{name: "plus", service: "plussvc", stdout: func(s *server) string { return nulAfterReply(s) + "hello" }},
	{name: "upper case", service: "PlusSvc", stdout: func(s *server) string { return nulAfterReply(s) + "hello" }},
	{name: "without the NUL", service: "plussvc", flags: []string{"--xinetd"}, stdout: says("hello")},
	{name: "dedicated", service: "dedsvc", stdout: says("hello")},
	{name: "unknown", service: "nosuch", stdout: says(""), status: 1, stderr: "refused by the server: "},
}

func says(text string) func(*server) string { return func(*server) string { return text } }

// nulAfterReply is what xinetd sends first to every client that it accepts itself.
func nulAfterReply(s *server) string {
	if s.name == "xinetd" {
		return "\x00"
	}
	return ""
}

func (c clientCase) test(t *testing.T, s *server) {
	stdout, stderr, status := jackfield(t, "hello", append([]string{"tcpmux", s.address, c.service}, c.flags...)...)
	if stdout != c.stdout(s) || status != c.status || !strings.Contains(stderr, c.stderr) {
		t.Errorf("stdout %q, stderr %q, status %d", stdout, stderr, status)
	}
}

func testList(t *testing.T, s *server) {
	stdout, stderr, status := jackfield(t, "", "tcpmux", s.address, "--list")
	if s.name == "xinetd" {
		if status != 1 || !strings.Contains(stderr, "refused by the server: Service name not found") {
			t.Errorf("stderr %q, status %d", stderr, status)
		}
		return
	}
	names := strings.Fields(stdout)
	slices.Sort(names)
	if status != 0 || !slices.Equal(names, []string{"dedsvc", "plussvc"}) {
		t.Errorf("stdout %q, stderr %q, status %d", stdout, stderr, status)
	}
}

func testLibrary(t *testing.T, s *server) {
	ctx, cancel := context.WithTimeout(t.Context(), live.Patience)
	defer cancel()
	conn := dial(t, s)
	rest, _, err := tcpmux.Open(ctx, conn, "plussvc")
	if err != nil {
		t.Fatal(err)
	}
	if s.name == "xinetd" {
		rest = tcpmux.SkipNUL(rest)
	}
	if _, err := io.WriteString(rest, "hello"); err != nil {
		t.Fatal(err)
	}
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(rest); string(got) != "hello" || err != nil {
		t.Errorf("the service said %q, %v", got, err)
	}
	if _, _, err := tcpmux.Open(ctx, dial(t, s), "nosuch"); !errors.As(err, new(*tcpmux.RefusedError)) {
		t.Errorf("an unknown service gives %v", err)
	}
}

func dial(t *testing.T, s *server) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.(*net.TCPConn)
}

func jackfield(t *testing.T, stdin string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), live.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "jackfield", args...)
	var out, problems bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &problems
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return out.String(), problems.String(), cmd.ProcessState.ExitCode()
}
