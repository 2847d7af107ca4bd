package e2e

import (
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"jackfield/test/live"
)

type server = live.Server

var serverCommands = map[string]command{
	"serve":    serve,
	"backend":  backend,
	"audit":    audit,
	"log":      serverLog,
	"hangup":   hangup,
	"remember": remember,
	"status":   status,
}

func serve(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 1, 1, "serve FILE")
	state := stateOf(ts)
	s, err := live.Serve(ts.MkAbs("."), args[0], state.environment...)
	ts.Check(err)
	state.server = s
	ts.Defer(func() {
		if err := s.Stop(syscall.SIGTERM); err != nil {
			ts.Fatalf("%v", err)
		}
	})
	for name, address := range s.Addresses {
		_, port, _ := net.SplitHostPort(address)
		ts.Setenv(name, address)
		ts.Setenv(name+"_port", port)
	}
}

func backend(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 1, 2, "backend KIND [NAME]")
	kind, name := args[0], args[len(args)-1]
	service := backends[kind]
	if service == nil {
		ts.Fatalf("there is no backend %q", kind)
	}
	address, stop, err := startBackend(service)
	ts.Check(err)
	ts.Defer(stop)
	ts.Setenv(name, address)
	state := stateOf(ts)
	state.environment = append(state.environment, name+"="+address)
}

func hangup(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 0, 0, "hangup")
	ts.Check(syscall.Kill(stateOf(ts).server.PID(), syscall.SIGHUP))
}

func audit(ts *testscript.TestScript, neg bool, args []string) {
	path := ts.MkAbs("data/audit.jsonl")
	expectLine(ts, neg, args, func() string {
		text, err := os.ReadFile(path)
		ts.Check(err)
		return string(text)
	})
}

func serverLog(ts *testscript.TestScript, neg bool, args []string) {
	expectLine(ts, neg, args, stateOf(ts).server.Output)
}

func expectLine(ts *testscript.TestScript, neg bool, args []string, read func() string) {
	tests := lineTests(ts, args)
	found := func() bool { return len(live.Select(read(), tests...)) > 0 }
	switch {
	case neg && found():
		ts.Fatalf("there is a line with %s:\n%s", strings.Join(args, " "), read())
	case !neg && !eventually(found):
		ts.Fatalf("there is no line with %s:\n%s", strings.Join(args, " "), read())
	}
}

var lineTest = regexp.MustCompile(`^([a-z_]+)([=~])(.*)$`)

func lineTests(ts *testscript.TestScript, args []string) []live.Test {
	var tests []live.Test
	for _, arg := range args {
		parts := lineTest.FindStringSubmatch(arg)
		switch {
		case parts == nil:
			ts.Fatalf("%q is neither FIELD=TEXT nor FIELD~REGEXP", arg)
		case parts[2] == "=":
			tests = append(tests, live.Equal(parts[1], parts[3]))
		default:
			pattern, err := regexp.Compile(parts[3])
			ts.Check(err)
			tests = append(tests, live.Match(parts[1], pattern))
		}
	}
	return tests
}

func remember(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 1, 1, "remember NAME")
	ts.Setenv(args[0], strings.TrimSuffix(ts.ReadFile("stdout"), "\n"))
}

func status(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 2, 100, "status N PROGRAM [ARGUMENT...]")
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if exit, ok := err.(*exec.ExitError); ok {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit status %d, not %d", got, want)
	}
}

// eventually waits for a condition, and says whether it was met in time. It looks less and less often: to look may cost a
// process.
func eventually(met func() bool) bool {
	pause := time.Millisecond
	for deadline := time.Now().Add(live.Patience); !met(); pause = min(2*pause, 50*time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(pause)
	}
	return true
}
