package cli

import (
	"os"
	"strings"
	"testing"
)

// call runs a command line that is not at a terminal, in a directory for configuration that is not there.
func call(t *testing.T, line string) (status int, out, complaint string) {
	t.Helper()
	var stdout, stderr strings.Builder
	root := newRoot()
	root.SetArgs(strings.Fields(line))
	root.SetIn(strings.NewReader(""))
	root.SetOut(&stdout)
	root.SetErr(&stderr)
	status = exitStatus(&stderr, root.ExecuteContext(t.Context()))
	return status, stdout.String(), stderr.String()
}

// TestUsage: wrong use has exit status 2 and one sentence, and touches nothing.
func TestUsage(t *testing.T) {
	config := t.TempDir() + "/config"
	t.Setenv("XDG_CONFIG_HOME", config)
	for line, want := range map[string]string{
		"login a b":                              "usage: jackfield login [URL]",
		"login --nonsense":                       "unknown flag: --nonsense (see jackfield login --help)",
		"login":                                  "say which server is meant",
		"login a --token-stdin --password-stdin": "--token-stdin and --password-stdin contradict each other",
		"login a --token-stdin --user ada":       "--token-stdin and --user contradict each other",
		"login a --trust --fingerprint 00":       "--fingerprint and --trust contradict each other",
		"login a":                                "say --user NAME and --password-stdin, or --token-stdin",
		"login a --user ada":                     "say --password-stdin, or --token-stdin",
		"login a --token-stdin --fingerprint 00": `"00" is not a fingerprint: it has 64 hexadecimal digits`,
		"login a --token-stdin --scope all":      `"all" is not a scope: those are read, write, connect and admin`,
		"login gopher://a --token-stdin":         "it looks like https://jackfield.example.org",
		"login http://192.0.2.1 --token-stdin":   "say https://192.0.2.1",
		"login a --context a/b --token-stdin":    "cannot name a context",
		"logout a":                               "usage: jackfield logout",
		"logout --nonsense":                      "unknown flag",
		"status a":                               "usage: jackfield status",
		"status --nonsense":                      "unknown flag",
		"context a":                              "see jackfield context --help",
		"context user":                           "did you mean use?",
		"context --nonsense":                     "unknown flag",
		"context ls a":                           "usage: jackfield context ls",
		"context ls --nonsense":                  "unknown flag",
		"context use":                            "usage: jackfield context use NAME",
		"context use a b":                        "usage: jackfield context use NAME",
		"context use --nonsense":                 "unknown flag",
		"ls a":                                   "usage: jackfield ls",
		"ls --nonsense":                          "unknown flag",
		"connect":                                "usage: jackfield connect NAME",
		"connect a b":                            "usage: jackfield connect NAME",
		"connect --nonsense a":                   "unknown flag",
		"connect --raw --progress a":             "--raw and --progress contradict each other",
		"connect --raw a":                        "--raw is for a terminal",
		"connect a_b":                            "service name",
		"forward":                                "usage: jackfield forward NAME",
		"forward --nonsense a":                   "unknown flag",
		"forward --json --print-env a":           "--print-env and --json contradict each other",
		"forward a 65536":                        `"65536" is not a port`,
		"forward a_b":                            "service name",
		"audit a":                                "usage: jackfield audit",
		"audit --nonsense":                       "unknown flag",
		"audit -n many":                          "invalid argument",
		"audit -n -1":                            "--number must not be negative",
		"audit --since yesterday":                "--since must be a time such as",
		"sessions a":                             "usage: jackfield sessions",
		"sessions --nonsense":                    "unknown flag",
		"sessions --context a --config b":        "--config and --context contradict each other",
		"sessions --context a --socket b":        "--socket and --context contradict each other",
		"disconnect":                             "usage: jackfield disconnect ID...",
		"disconnect --nonsense a":                "unknown flag",
		"why":                                    "usage: jackfield why SERVICE",
		"why a b":                                "usage: jackfield why SERVICE",
		"why --nonsense a":                       "unknown flag",
		"why --from here a":                      "--from must be the client's IP address",
		"why --at noon a":                        "--at must be a time such as",
		"ssh-config a":                           "usage: jackfield ssh-config",
		"ssh-config --nonsense":                  "unknown flag",
		"completion":                             "usage: jackfield completion bash|zsh|fish|powershell",
		"completion tcsh":                        "usage: jackfield completion bash|zsh|fish|powershell",
		"completion --nonsense bash":             "unknown flag",
		"conect a":                               "did you mean context, connect?",
	} {
		status, out, complaint := call(t, line)
		if status != exitBad || out != "" || strings.Count(complaint, "\n") != 1 || !strings.Contains(complaint, want) {
			t.Errorf("%s: exit status %d: %q %q", line, status, out, complaint)
		}
	}
	if _, err := os.Stat(config); err == nil {
		t.Error("a directory for logins was made")
	}
}
