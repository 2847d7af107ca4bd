package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"jackfield/test/live"
)

// poolConfig has a mapper whose program and options are still missing.
const poolConfig = `
data_dir = "data"
listener "mux" {
  protocol = "tcpmux"
  listen   = "127.0.0.1:0"
}
service "guarded" {
  listeners = ["mux"]
  builtin   = "echo"
  mapper    = "corp"
}
service "plain" {
  listeners = ["mux"]
  builtin   = "echo"
}
mapper "corp" {
` + mapperProgram

// openedBy opens and ends a session, and returns the process whose program, which names itself, has let it in.
func openedBy(t *testing.T, s *live.Server, dir, source string) (pid int) {
	t.Helper()
	before := len(auditLines(t, dir, live.Equal("event", "open")))
	answer, err := converse(source, s.Addresses["mux"], "guarded\r\nhello")
	if err != nil || answer != "+\r\nhello" {
		t.Fatalf("the answer is %q, %v", answer, err)
	}
	opened := auditLines(t, dir, live.Equal("event", "open"))[before:]
	if len(opened) != 1 {
		t.Fatalf("the audit says %v", opened)
	}
	note := fmt.Sprint(opened[0]["notes"])
	if _, err := fmt.Sscanf(note, "[mapper.corp: %d]", &pid); err != nil {
		t.Fatalf("the note is %q: %v", note, err)
	}
	return pid
}

// TestMapperWarm has a process wait before anybody asks, and follow what the configuration says.
func TestMapperWarm(t *testing.T) {
	t.Parallel()
	config := poolConfig + `, "names itself", env("MARK")]` + "\n  timeout = \"1m\"\n  warm = 1\n}\n"
	s, dir, mark := serveMapper(t, config)
	first := awaitMapper(t, mark, "corp")
	if pid := openedBy(t, s, dir, "127.0.0.1"); pid != first {
		t.Errorf("process %d was asked, %d had waited", pid, first)
	}
	second := awaitMapper(t, mark, "corp")
	if second == first {
		t.Error("a process lives after it has answered")
	}

	// The same configuration, but for what is no part of the mapper.
	if out, status := reload(t, dir, config+"service \"more\" {\n  listeners = [\"mux\"]\n  builtin = \"echo\"\n}\n"); status != 0 {
		t.Fatal(out)
	}
	if err := exchange(s.Addresses["mux"], "more\r\nhello", "+\r\nhello"); err != nil {
		t.Fatalf("the reload is not at work: %v", err)
	}
	if pid := openedBy(t, s, dir, "127.0.0.1"); pid != second {
		t.Errorf("process %d was asked after a reload, %d had waited before it", pid, second)
	}
	second = awaitMapper(t, mark, "corp")

	// A changed command.
	if out, status := reload(t, dir, strings.Replace(config, `"names itself"`, `"names itself", "changed"`, 1)); status != 0 {
		t.Fatal(out)
	}
	third := awaitMapper(t, mark, "corp") // so the second one has ended
	if third == second || !strings.Contains(commandLine(third), "\x00changed\x00") {
		t.Errorf("process %d waits, %d before the reload: %q", third, second, commandLine(third))
	}
	if pid := openedBy(t, s, dir, "127.0.0.1"); pid != third {
		t.Errorf("process %d was asked, %d had waited", pid, third)
	}

	awaitMapper(t, mark, "corp")
	if lines := live.Select(s.Output(), live.Equal("level", "WARN")); len(lines) > 0 {
		t.Errorf("the log warns: %v", lines)
	}
	if err := s.Stop(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if left := mapperProcesses(t, mark); len(left) > 0 {
		t.Errorf("processes outlive the server: %v", left)
	}
}

func commandLine(pid int) string {
	words, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return string(words)
}

// TestMapperStops stops a server while a program waits that does not end with its input.
func TestMapperStops(t *testing.T) {
	t.Parallel()
	s, _, mark := serveMapper(t, poolConfig+`, "silent after version"]`+"\n  timeout = \"1m\"\n  warm = 1\n}\n")
	hangs := func() bool { _, err := os.Stat(filepath.Join(mark, "silent after version")); return err == nil }
	if !eventually(hangs) {
		t.Fatal("no program waits")
	}
	awaitMapper(t, mark, "corp")
	if err := s.Stop(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if left := mapperProcesses(t, mark); len(left) > 0 {
		t.Errorf("processes outlive the server: %v", left)
	}
}

// TestMapperDies kills the process that waits. Another one takes its place, and nobody is denied.
func TestMapperDies(t *testing.T) {
	t.Parallel()
	s, dir, mark := serveMapper(t, poolConfig+`, "names itself", env("MARK")]`+"\n  timeout = \"1m\"\n  warm = 1\n}\n")
	first := awaitMapper(t, mark, "corp")
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	diedEarly := regexp.MustCompile("mapper program (ended before it was asked|cannot be started ahead)")
	awaitLog(t, s, live.Match("msg", diedEarly), live.Equal("mapper", "corp"))
	if pid := openedBy(t, s, dir, "127.0.0.1"); pid == first {
		t.Errorf("the dead process %d has answered", pid)
	}
	if pid := awaitMapper(t, mark, "corp"); pid == first {
		t.Errorf("the dead process %d waits", pid)
	}
}

// TestMapperCache keeps answers for a time, each for the questions that are the same.
func TestMapperCache(t *testing.T) {
	t.Parallel()
	s, dir, mark := serveMapper(t, poolConfig+`, "names itself"]`+"\n  timeout = \"1m\"\n  cache = \"1h\"\n}\n")
	first := openedBy(t, s, dir, "127.0.0.1")
	for range 3 {
		if pid := openedBy(t, s, dir, "127.0.0.1"); pid != first {
			t.Errorf("process %d was asked about the same again, as was %d", pid, first)
		}
	}
	second := openedBy(t, s, dir, "127.0.0.2")
	if second == first {
		t.Error("the answer of another address was taken")
	}
	awaitNoMapper(t, mark)
	if pid := openedBy(t, s, dir, "127.0.0.2"); pid != second {
		t.Errorf("process %d was asked about the same again, as was %d", pid, second)
	}

	// A short time passes.
	if out, status := reload(t, dir, poolConfig+`, "names itself"]`+"\n  timeout = \"1m\"\n  cache = \"1s\"\n}\n"); status != 0 {
		t.Fatal(out)
	}
	kept := openedBy(t, s, dir, "127.0.0.1")
	if kept == first {
		t.Error("a changed mapper has kept an answer")
	}
	if !eventually(func() bool { return openedBy(t, s, dir, "127.0.0.1") != kept }) {
		t.Error("an answer holds for ever")
	}
}

// TestMapperFlood asks 500 times at once, which is far more than the program can answer in time.
func TestMapperFlood(t *testing.T) {
	t.Parallel()
	clients, most := 500, 4
	config := poolConfig + fmt.Sprintf(`, "slow"]`+"\n  timeout = \"10s\"\n  max_processes = %d\n}\n", most)
	s, _, mark := serveMapper(t, config)
	descriptors := countDescriptors(t, s)

	done := make(chan struct{})
	var sampling sync.WaitGroup
	samples, highest := 0, 0
	sampling.Go(func() {
		for tick := time.NewTicker(20 * time.Millisecond); ; samples++ {
			alive := 0
			for _, p := range mapperProcesses(t, mark) {
				if p.parent == s.PID() {
					alive++
				}
			}
			highest = max(highest, alive)
			select {
			case <-done:
				tick.Stop()
				return
			case <-tick.C:
			}
		}
	})

	var mu sync.Mutex
	answers := map[string]int{}
	var asking sync.WaitGroup
	for range clients {
		asking.Go(func() {
			answer, err := converse("127.0.0.1", s.Addresses["mux"], "guarded\r\nhello")
			if err != nil {
				t.Error(err)
			}
			kind, _, _ := strings.Cut(answer, "[")
			mu.Lock()
			defer mu.Unlock()
			answers[kind]++
		})
	}
	for range 10 {
		if err := exchange(s.Addresses["mux"], "plain\r\nhello", "+\r\nhello"); err != nil {
			t.Errorf("without a mapper: %v", err)
		}
	}
	asking.Wait()
	close(done)
	sampling.Wait()

	allowed, denied := answers["+\r\nhello"], answers["-access denied "]
	if allowed == 0 || denied == 0 || allowed+denied != clients {
		t.Errorf("the answers are %v", answers)
	}
	if highest == 0 || highest > most {
		t.Errorf("%d processes were alive at once, %d may be", highest, most)
	}
	t.Logf("%d allowed, %d denied; at most %d processes in %d samples", allowed, denied, highest, samples)

	awaitNoMapper(t, mark)
	if answer, err := converse("127.0.0.1", s.Addresses["mux"], "guarded\r\nhello"); err != nil || answer != "+\r\nhello" {
		t.Errorf("afterwards: %q, %v", answer, err)
	}
	awaitNoMapper(t, mark)
	if !eventually(func() bool { return countDescriptors(t, s) <= descriptors }) {
		t.Errorf("%d descriptors were open, now there are %d", descriptors, countDescriptors(t, s))
	}
}

// TestMapperBatch has questions share the fate of one process, which answers only the first of them.
func TestMapperBatch(t *testing.T) {
	t.Parallel()
	const clients = 5
	config := strings.Replace(poolConfig, `HOUR = "12"`, `LATCH = "${env("MARK")}/latch"`, 1)
	s, dir, mark := serveMapper(t, config+`, "first of many"]`+
		fmt.Sprintf("\n  timeout = \"1m\"\n  max_processes = 1\n  batch = %d\n}\n", clients))
	asking := make([]*client, clients)
	for i := range asking {
		asking[i] = open(t, s, "mux")
		say(t, asking[i], "guarded\r\nhello")
	}
	if !eventually(func() bool { return countSessions(t, dir) == clients }) {
		t.Fatalf("%d sessions wait, not %d", countSessions(t, dir), clients)
	}
	latch := filepath.Join(mark, "latch")
	if err := os.WriteFile(latch, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	allowed := 0
	for _, c := range asking {
		first := make([]byte, 1)
		if _, err := io.ReadFull(c, first); err != nil {
			t.Fatal(err)
		}
		allowed += strings.Count(string(first), "+")
	}
	// Those that come too late for the first process have another one. It writes down how many it was asked.
	counts, err := os.ReadFile(latch)
	if err != nil {
		t.Fatal(err)
	}
	asked, processes := 0, strings.Fields(string(counts))
	for _, count := range processes {
		n, _ := strconv.Atoi(count)
		asked += n
	}
	if asked != clients || len(processes) == clients {
		t.Errorf("the processes were asked %v questions", processes)
	}
	if allowed != len(processes) {
		t.Errorf("%d questions were allowed by %d processes, each of which allows one", allowed, len(processes))
	}
	refused := auditLines(t, dir, live.Equal("event", "refuse"), live.Match("details", regexp.MustCompile(`^no answer to request "\d"`)))
	if len(refused) != clients-len(processes) {
		t.Errorf("the audit says %v", refused)
	}
	awaitNoMapper(t, mark)
}

func countSessions(t *testing.T, dir string) int {
	t.Helper()
	cmd := exec.Command("jackfield", "sessions", "--socket", "data/admin.sock", "--json")
	cmd.Dir = dir
	out, err := cmd.Output()
	var sessions []any
	if err := errors.Join(err, json.Unmarshal(out, &sessions)); err != nil {
		t.Fatal(err)
	}
	return len(sessions)
}
