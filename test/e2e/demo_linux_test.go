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

// What the commands that the demo prints must say, by a word in them.
var demoCommands = map[string]string{
	"help":     "console.fpga-1\r\ndaytime\r\necho\r\nlounge\r\nmeter\r\nweb\r\n",
	"lounge":   "+\r\n",
	"meter":    "you said \"read\"",
	"devices":  "connected",
	"why":      "lounge by listener mux would be let in",
	"echo":     "+\r\nhello\n",
	"console":  "fpga-1> ",
	"curl":     "Hello from a web server",
	"secret":   "-service not available [",
	"sessions": "ID",

	"user add":              "ada added",
	"certificate authority": "SHA-256 of the first",
	"/login":                `"token":"jft_`,
	"/services":             `"name":"console.fpga-1"`,
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
		t.Errorf("%d commands are printed, this test knows %d", len(commands), len(demoCommands))
	}
	token := "TOKEN"
	for _, command := range commands {
		said := tryDemoCommand(t, strings.ReplaceAll(command[1], "TOKEN", token))
		if granted := regexp.MustCompile(`"token":"(jft_\w+)"`).FindStringSubmatch(said); granted != nil {
			token = granted[1]
		}
	}
	if err := demo.WaitFor(func(output string) bool {
		return strings.Contains(output, "  open    echo from 127.0.0.1:") && strings.Contains(output, "  refuse  \"secret\" from 127.0.0.1:")
	}); err != nil {
		t.Error(err)
	}
}

func tryDemoCommand(t *testing.T, command string) (said string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "sh", "-c", command).CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", command, err, out)
	}
	for word, want := range demoCommands {
		if strings.Contains(command, word) && strings.Contains(string(out), want) {
			return string(out)
		}
	}
	t.Errorf("%s said\n%s", command, out)
	return string(out)
}
