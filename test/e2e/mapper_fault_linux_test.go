package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"jackfield/test/live"
)

// A mapperFault is what a program does wrong; its name is the argument of testdata/mapper.py.
type mapperFault struct {
	name    string
	timeout string // of the mapper
	reason  string // of the denial, as a pattern; empty: the fault is none, and the program's word is taken
	try     string // a line that "jackfield mapper try" prints, as a pattern
}

// The timeouts: one that is waited for; one that is waited for once the program has said something, which takes a busy machine a
// while; and one that must not be the reason.
const soon, later, late = "4s", "15s", "1m"

var mapperFaults = []mapperFault{
	{"version 0", late, `^bad version "0": it must be a number from 1 on$`, `version:0 .*bad version`},
	{"version 2", late, "", `version:2 .*understands versions up to 2; version 1 is spoken`},
	{"version absent", soon, `^no (version|answer) within 4s$`, `denied: no version within 4s$`},
	{"noise", late, `^NUL byte in a line`, ""},
	{"noise in answer", late, `NUL byte in a line`, ""},
	{"noise in answer and hangs", soon, `within 4s$|NUL byte in a line`, ""},
	{"flood before version", late, `^line too long: no line end within 8192 bytes$`, ""},
	{"flood in answer", late, `line too long: no line end within 8192 bytes$`, ""},
	{"unknown id", late, `^no answer to request "1": the application's output ended$`, `skipped: a response to "999", which was not asked`},
	{"unknown id first", late, `^not you$`, `skipped: a response to "999", which was not asked`},
	{"finished id", late, `^not you$`, ""},
	{"repeated id", late, `^no answer to request "1": another response began within its own$`, `request "1" fails, its response being open still`},
	{"success before version", late, `^no answer to request "1"`, `success: .*ignored: it comes before the version`},
	{"success before request", late, `^no answer to request "1"`, `success: .*ignored: no response that counts is open`},
	{"two in a block", late, `^no answer to request "1": another response began within its own$`, `request "1" fails, its response being open still`},
	{"no line end", late, `^no answer to request "1": the last line "success:" has no line end`, ""},
	{"exit at once", late, `^no version: the application's output ended before it( \(exit status 0\))?$`, ""},
	{"exit before the request", late, `^no answer to request "1"|^the application closed its standard input before`, `exit status 0`},
	{"exit before the answer", late, `^no answer to request "1": the application's output ended$`, `exit status 0`},
	{"exit within the answer", late, `^no answer to request "1": the application's output ended$`, `exit status 0`},
	{"exit after the answer", late, "", `request "1" is allowed, if the exit status is 0`},
	{"exit 1", late, `^the application failed: exit status 1$`, `exit status 1`},
	{"killed", late, `^the application failed: signal: killed$`, `signal: killed`},
	{"silent", soon, `^no (version|answer) within 4s$`, `denied: no version within 4s$`},
	{"silent after version", later, `^no answer within 15s$`, ""},
	{"never exits", later, `within 15s$`, `denied: an answer, but no end of the program within 15s`},
	{"closes stdin", soon, `within 4s$`, ""},
	{"closes stdin and answers", late, `^the application closed its standard input before all was written`, ""},
	{"stubborn", soon, `within 4s$`, ""},
}

// service is a name for the fault.
func (f mapperFault) service() string { return strings.ReplaceAll(f.name, " ", "-") }

// faultsConfig has a service, and a mapper of the same name, for each fault.
func faultsConfig() string {
	var b strings.Builder
	b.WriteString(`
data_dir = "data"
listener "mux" {
  protocol = "tcpmux"
  listen   = "127.0.0.1:0"
}
listener "port" {
  protocol = "tcp"
  listen   = "127.0.0.1:0"
  service  = "plain"
}
service "plain" {
  listeners = ["mux"]
  address   = env("echo")
}
`)
	add := func(name, argument, timeout string) {
		fmt.Fprintf(&b, "service %q {\n  listeners = [\"mux\"]\n  builtin = \"echo\"\n  mapper = %q\n}\n", name, name)
		fmt.Fprintf(&b, "mapper %q {\n%s, %q]\n  timeout = %q\n}\n", name, mapperProgram, argument, timeout)
	}
	add("good", "good", late)
	for _, f := range mapperFaults {
		add(f.service(), f.name, f.timeout)
	}
	return b.String()
}

// TestMapperFaults has programs do everything wrong, at the same time. Each time access is denied once, others are served
// meanwhile, and in the end nothing is left.
func TestMapperFaults(t *testing.T) {
	t.Parallel()
	s, dir, mark := serveMapper(t, faultsConfig())
	othersAreServed(t, s)
	descriptors := countDescriptors(t, s)
	t.Run("faults", func(t *testing.T) {
		for _, f := range mapperFaults {
			t.Run(f.name, func(t *testing.T) {
				t.Parallel()
				f.checkServer(t, s, dir)
			})
		}
	})
	othersAreServed(t, s)
	awaitNoMapper(t, mark)
	if !eventually(func() bool { return countDescriptors(t, s) <= descriptors }) {
		t.Errorf("%d descriptors were open, now there are %d", descriptors, countDescriptors(t, s))
	}
}

func (f mapperFault) checkServer(t *testing.T, s *live.Server, dir string) {
	c := open(t, s, "mux")
	say(t, c, f.service()+"\r\nhello")
	othersAreServed(t, s)
	if f.reason == "" {
		expect(t, c, "+\r\nhello")
		return
	}
	expectDenied(t, c)
	checkRefusedOnce(t, s, dir, f.service(), f.reason)
}

func expectDenied(t *testing.T, c *client) {
	t.Helper()
	expect(t, c, "-access denied [")
}

// checkRefusedOnce wants one refusal of the service by its mapper, in the audit and in the log.
func checkRefusedOnce(t *testing.T, s *live.Server, dir, service, reason string) {
	t.Helper()
	of, by := live.Equal("service", service), live.Equal("by", "mapper."+service)
	awaitLog(t, s, live.Equal("msg", "request refused"), of)
	recorded := auditLines(t, dir, of)
	if len(recorded) != 1 || !by(recorded[0]) || !live.Equal("kind", "denied")(recorded[0]) ||
		!live.Match("details", regexp.MustCompile(reason))(recorded[0]) {
		t.Fatalf("the audit says %v, not %q", recorded, reason)
	}
	details := fmt.Sprint("access denied: ", recorded[0]["details"])
	logged := live.Select(s.Output(), live.Equal("msg", "request refused"), of)
	if len(logged) != 1 || !by(logged[0]) || logged[0]["reason"] != details {
		t.Errorf("the log says %v, not %q", logged, details)
	}
}

func othersAreServed(t *testing.T, s *live.Server) {
	t.Helper()
	for _, other := range []struct{ listener, say, answer string }{
		{"mux", "plain\r\nhello", "+\r\nhello"},
		{"mux", "good\r\nhello", "+\r\nhello"},
		{"port", "hello", "hello"},
	} {
		if err := exchange(s.Addresses[other.listener], other.say, other.answer); err != nil {
			t.Errorf("%q at %s: %v", other.say, other.listener, err)
		}
	}
}

// TestMapperKilled kills a program while it decides.
func TestMapperKilled(t *testing.T) {
	t.Parallel()
	config := strings.NewReplacer(`"`+soon+`"`, `"`+late+`"`, `"`+later+`"`, `"`+late+`"`).Replace(faultsConfig())
	s, dir, mark := serveMapper(t, config)
	for _, test := range []struct{ name, reason string }{
		{"silent", `^no version`},
		{"silent after version", `the application failed: signal: killed$`},
		{"never exits", `^the application failed: signal: killed$`},
	} {
		t.Run(test.name, func(t *testing.T) {
			service := mapperFault{name: test.name}.service()
			c := open(t, s, "mux")
			say(t, c, service+"\r\nhello")
			hangs := func() bool { _, err := os.Stat(filepath.Join(mark, test.name)); return err == nil }
			if !eventually(hangs) {
				t.Fatal("the program does not hang")
			}
			othersAreServed(t, s)
			if err := syscall.Kill(awaitMapper(t, mark, service), syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			expectDenied(t, c)
			checkRefusedOnce(t, s, dir, service, test.reason)
		})
	}
	awaitNoMapper(t, mark)
}

// TestMapperTryFaults has "jackfield mapper try" say what is wrong.
func TestMapperTryFaults(t *testing.T) {
	t.Parallel()
	environment := mapperEnvironment(t)
	python, program := environment[0][len("PYTHON="):], environment[1][len("PROGRAM="):]
	for _, f := range mapperFaults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			mark := t.TempDir() // an argument of the program
			cmd := exec.Command("jackfield", "mapper", "try", "--command", python, "--timeout", f.timeout,
				"user=65534:nobody", "addr-ip=127.0.0.1", "--", "-I", "-S", program, f.name, mark)
			out, err := cmd.Output()
			status := 0
			if exit, ok := errors.AsType[*exec.ExitError](err); ok {
				status = exit.ExitCode()
			} else if err != nil {
				t.Fatal(err)
			}
			f.checkTry(t, string(out), status)
			awaitNoMapper(t, mark)
		})
	}
}

func (f mapperFault) checkTry(t *testing.T, out string, status int) {
	want := 0
	if f.reason != "" {
		want = 1
	}
	if status != want {
		t.Errorf("exit status %d, not %d", status, want)
	}
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	verdict, denied := strings.CutPrefix(lines[len(lines)-1], "denied: ")
	switch {
	case f.reason == "" && verdict != "allowed":
		t.Errorf("the verdict is %q", verdict)
	case f.reason != "" && (!denied || !regexp.MustCompile(f.reason).MatchString(verdict)):
		t.Errorf("the verdict is %q, not %q", verdict, f.reason)
	}
	if !regexp.MustCompile("(?m)" + f.try).MatchString(out) {
		t.Errorf("no line is like %q", f.try)
	}
	if t.Failed() {
		t.Logf("\n%.3000s", out)
	}
}
