package e2e

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"jackfield/test/live"
)

// mapperProgram is how a configuration runs testdata/mapper.py, closed by the program's argument, if it has one, and "]".
const mapperProgram = `  env     = { MARK = env("MARK"), HOUR = "12" }
  command = [env("PYTHON"), "-I", "-S", env("PROGRAM")`

// serveMapper serves a configuration whose mappers run testdata/mapper.py. Once it has stopped, none of them is left. The
// mark is a directory for what they leave behind.
func serveMapper(t *testing.T, config string) (s *live.Server, dir, mark string) {
	t.Helper()
	mark = t.TempDir()
	t.Cleanup(func() {
		if left := mapperProcesses(t, mark); len(left) > 0 {
			t.Errorf("processes are left running: %v", left)
		}
	})
	s, dir = serveEcho(t, config, append(mapperEnvironment(t), "MARK="+mark)...)
	return s, dir, mark
}

func mapperEnvironment(t *testing.T) []string {
	t.Helper()
	program, err := filepath.Abs("testdata/mapper.py")
	if err != nil {
		t.Fatal(err)
	}
	return []string{"PYTHON=" + findPython(t), "PROGRAM=" + program}
}

// findPython returns the interpreter itself: the mapper's PATH may know no other way to it.
func findPython(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		live.Missing(t, "python3", "apt-get install python3")
	}
	return strings.TrimSpace(string(out))
}

// A mapperProcess is a live process that a server has started as a mapper, or a descendant of one.
type mapperProcess struct {
	pid, parent int
	mapper      string
}

// mapperProcesses finds those with the mark in their environment or command line.
func mapperProcesses(t *testing.T, mark string) []mapperProcess {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var found []mapperProcess
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		environment, _ := os.ReadFile(filepath.Join("/proc", entry.Name(), "environ")) // it may have ended
		words, _ := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline"))
		_, after, is := strings.Cut("\x00"+string(environment), "\x00JACKFIELD_MAPPER=")
		if is && strings.Contains(string(environment)+string(words), mark) {
			name, _, _ := strings.Cut(after, "\x00")
			found = append(found, mapperProcess{pid, parentOf(pid), name})
		}
	}
	return found
}

// parentOf returns 0 for a process that has ended.
func parentOf(pid int) int {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, fields, _ := strings.Cut(string(stat), ") ")
	var state string
	var parent int
	fmt.Sscan(fields, &state, &parent)
	return parent
}

// awaitMapper waits until exactly one process is there for the mapper.
func awaitMapper(t *testing.T, mark, name string) (pid int) {
	t.Helper()
	if !eventually(func() bool {
		pid = 0
		for _, p := range mapperProcesses(t, mark) {
			if p.mapper == name && pid == 0 {
				pid = p.pid
			} else if p.mapper == name {
				return false
			}
		}
		return pid != 0
	}) {
		t.Fatalf("there is no one process of the mapper %s, but %v", name, mapperProcesses(t, mark))
	}
	return pid
}

func awaitNoMapper(t *testing.T, mark string) {
	t.Helper()
	if !eventually(func() bool { return len(mapperProcesses(t, mark)) == 0 }) {
		t.Errorf("processes are left running: %v", mapperProcesses(t, mark))
	}
}

// converse comes from a source address, says something, ends its side, and returns the answer; "RST" if there was a reset.
func converse(source, address, say string) (string, error) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}, Timeout: live.Patience}
	conn, err := dialer.Dial("tcp", address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(live.Patience))
	var answer []byte
	if _, err = io.WriteString(conn, say); err == nil {
		if err = conn.(*net.TCPConn).CloseWrite(); err == nil {
			answer, err = io.ReadAll(conn)
		}
	}
	if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ENOTCONN) {
		return "RST", nil
	}
	return string(answer), err
}

// refusedAs is the whole of a refusal by TCPMUX.
func refusedAs(message string) string {
	return "^-" + regexp.QuoteMeta(message) + ` \[[0-9a-z]+-[0-9a-z]+-[0-9a-z]+\]\r\n$`
}

const decidesConfig = `
data_dir = "data"
listener "mux" {
  protocol = "tcpmux"
  listen   = "127.0.0.1:0"
}
listener "office-port" {
  protocol = "tcp"
  listen   = "127.0.0.1:0"
  service  = "office"
}
listener "vault-port" {
  protocol = "tcp"
  listen   = "127.0.0.1:0"
  service  = "vault"
}
service "office" {
  listeners = ["mux"]
  address   = env("echo")
  mapper    = "corp"
}
service "vault" {
  listeners = ["mux"]
  builtin   = "echo"
  mapper    = "corp"
}
service "frank" {
  listeners = ["mux"]
  builtin   = "echo"
  mapper    = "frank"
}
service "open" {
  listeners = ["mux"]
  builtin   = "echo"
}
mapper "corp" {
` + mapperProgram + `]
  timeout = "1m"
}
mapper "frank" {
` + mapperProgram + `]
  show_reason = true
  timeout     = "1m"
}
`

// TestMapperDecides has a program decide by address, by service and by the time of day.
func TestMapperDecides(t *testing.T) {
	t.Parallel()
	s, dir, mark := serveMapper(t, decidesConfig)
	const opened, denied = `^\+\r\nhello$`, "access denied"
	for _, test := range []struct {
		name     string
		hour     int
		source   string
		listener string
		service  string
		answer   string
		reason   string // of the refusal; empty: let in
	}{
		{"good address", 12, "127.0.0.1", "mux", "office", opened, ""},
		{"bad address", 12, "127.0.0.2", "mux", "office", refusedAs(denied), "not from 127.0.0.2"},
		{"bad service", 12, "127.0.0.1", "mux", "vault", refusedAs(denied), "nobody may use the vault"},
		{"at a port", 12, "127.0.0.1", "office-port", "office", "^hello$", ""},
		{"bad address at a port", 12, "127.0.0.2", "office-port", "office", "^RST$", "not from 127.0.0.2"},
		{"bad service at a port", 12, "127.0.0.1", "vault-port", "vault", "^RST$", "nobody may use the vault"},
		{"the reason is shown", 12, "127.0.0.2", "mux", "frank", refusedAs("not from 127.0.0.2"), "not from 127.0.0.2"},
		{"without a mapper", 12, "127.0.0.2", "mux", "open", opened, ""},
		{"bad hour", 3, "127.0.0.1", "mux", "office", refusedAs(denied), "closed at 3"},
		{"bad hour at a port", 3, "127.0.0.1", "office-port", "office", "^RST$", "closed at 3"},
		{"any hour", 3, "127.0.0.1", "mux", "frank", opened, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := strings.ReplaceAll(decidesConfig, `HOUR = "12"`, fmt.Sprintf("HOUR = %q", strconv.Itoa(test.hour)))
			if out, status := reload(t, dir, config); status != 0 {
				t.Fatal(out)
			}
			before := len(decisions(t, dir))
			say := "hello"
			if test.listener == "mux" {
				say = test.service + "\r\nhello"
			}
			answer, err := converse(test.source, s.Addresses[test.listener], say)
			if err != nil || !regexp.MustCompile(test.answer).MatchString(answer) {
				t.Errorf("the answer is %q, %v", answer, err)
			}
			by := map[string]string{"office": "mapper.corp", "vault": "mapper.corp", "frank": "mapper.frank"}[test.service]
			checkDecision(t, nextDecision(t, dir, before), test.service, by, test.reason)
		})
	}
	awaitNoMapper(t, mark)
}

// decisions are the records of what was let in or refused. (Those of what has ended may come a moment later.)
func decisions(t *testing.T, dir string) []live.Line {
	t.Helper()
	return auditLines(t, dir, live.Match("event", regexp.MustCompile("^(open|refuse)$")))
}

// nextDecision waits for the next one.
func nextDecision(t *testing.T, dir string, before int) live.Line {
	t.Helper()
	if !eventually(func() bool { return len(decisions(t, dir)) > before }) {
		t.Fatal("the audit knows nothing of it")
	}
	return decisions(t, dir)[before]
}

func checkDecision(t *testing.T, record live.Line, service, by, reason string) {
	t.Helper()
	want := []live.Test{live.Equal("service", service), live.Equal("by", by)}
	switch {
	case reason != "":
		want = append(want, live.Equal("event", "refuse"), live.Equal("kind", "denied"), live.Equal("details", reason))
	case by != "":
		want = append(want, live.Equal("event", "open"), live.Equal("notes", by+": welcome"))
	default:
		want = append(want, live.Equal("event", "open"))
	}
	for _, good := range want {
		if !good(record) {
			t.Fatalf("the audit says %v of %q by %q", record, cmp.Or(reason, "open"), by)
		}
	}
}
