package e2e

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"jackfield/test/live"
)

// What the commands that the demo prints must say, in the order in which they are printed: something in a command, and something
// that it says then.
var demoCommands = []struct{ command, says string }{
	{"help", "console.edge-7\r\nconsole.fpga-1\r\ndaytime\r\necho\r\nlounge\r\nmeter\r\nweb\r\n"},
	{"echo", "+\r\nhello\n"},
	{"curl http:", "Hello from a web server"},
	{"secret", "-service not available ["},
	{"lounge", "+\r\n"},
	{"meter", "you said \"read\""},
	{"console.edge-7", "you said \"status\""},
	{"export XDG_CONFIG_HOME=", ""},
	{" login https:", "logged in to https://127.0.0.1:"},
	{" ls", "console.fpga-1"},
	{" connect fpga-1", "fpga-1> "},
	{" sessions", "FROM SERVICE"},
	{" why ", "lounge by listener api would be let in"},
	{" audit", "call     POST /api/v1/login"},
	{" logout", "logged out of https://127.0.0.1:"},
	{" devices ", "connected"},
	{" agent ls ", "connected"},
	{" user add ", "ada added"},
	{" token add ", "Token "},
	{" certificate authority ", "SHA-256 of the first"},
	{"curl --proxy-cacert ", "Hello from a web server"},
}

// TestDemo does everything that "jackfield demo" says one can try.
func TestDemo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.Command("jackfield", "demo")
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	demo, err := live.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := demo.Stop(syscall.SIGINT); err != nil {
			t.Error(err)
		}
		if left, err := os.ReadDir(dir); len(left) > 0 || err != nil {
			t.Errorf("the demo left %v behind (%v)", left, err)
		}
	})
	if err := demo.WaitFor(func(output string) bool { return strings.Contains(output, "What happens:") }); err != nil {
		t.Fatal(err)
	}
	commands := regexp.MustCompile(`(?m)^  (\S.*)$`).FindAllStringSubmatch(demo.Output(), -1)
	if len(commands) != len(demoCommands) {
		t.Fatalf("%d commands are printed, this test knows %d", len(commands), len(demoCommands))
	}
	environment := os.Environ()
	for i, want := range demoCommands {
		command := commands[i][1]
		if variable, is := strings.CutPrefix(command, "export "); is {
			environment = append(environment, variable)
		}
		shell := exec.CommandContext(t.Context(), "sh", "-c", command)
		shell.Env = environment
		said, err := shell.CombinedOutput()
		if err != nil || !strings.Contains(command, want.command) || !strings.Contains(string(said), want.says) {
			t.Errorf("%s: %v\n%s", command, err, said)
		}
	}
	if err := demo.WaitFor(func(output string) bool {
		return strings.Contains(output, "  open    echo from 127.0.0.1:") && strings.Contains(output, "  refuse  \"secret\" from 127.0.0.1:")
	}); err != nil {
		t.Error(err)
	}
}
