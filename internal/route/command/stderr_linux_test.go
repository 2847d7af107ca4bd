package command_test

import (
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"jackfield/internal/route/command"
)

func TestStderrGoesToLog(t *testing.T) {
	var log logBuffer
	got := run(t, command.Options{
		Command: shell(`echo out; echo one >&2; printf 'two\r\nthr\377ee\n\nlast' >&2`),
		Log:     log.logger(),
	})
	if got != "out\n" {
		t.Errorf("the client got %q", got)
	}
	want := ""
	for _, line := range []string{"one", "two", "\"thr\uFFFDee\"", `""`, "last"} {
		want += fmt.Sprintf("level=INFO msg=\"program wrote to stderr\" id=inst-7 service=svc line=%s\n", line)
	}
	if got := regexp.MustCompile(`(?m)^time=\S+ `).ReplaceAllString(log.String(), ""); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestStderrGoesToClient(t *testing.T) {
	got := run(t, command.Options{Command: shell("echo out; echo err >&2"), Stderr: command.StderrSocket})
	if got != "out\nerr\n" {
		t.Errorf("got %q", got)
	}
}

func TestLongLine(t *testing.T) {
	var log logBuffer
	run(t, command.Options{Command: shell("head -c 100000 /dev/zero | tr '\\0' x >&2; echo >&2; echo short >&2"), Log: log.logger()})
	got := log.String()
	if strings.Count(got, "\n") != 2 || strings.Count(got, "x") != 4096 || !strings.Contains(got, "line=short") {
		t.Errorf("the log has %d lines and %d x", strings.Count(got, "\n"), strings.Count(got, "x"))
	}
}

// A flood neither stops the program nor fills the log or the memory.
func TestStderrFlood(t *testing.T) {
	const size = 1 << 27
	var log logBuffer
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got := run(t, command.Options{
		Command: shell(fmt.Sprintf("yes 2>&1 | head -c %d >&2; echo done", size)),
		Log:     log.logger(),
	})
	runtime.ReadMemStats(&after)
	if got != "done\n" {
		t.Errorf("got %q", got)
	}
	if after.Sys > before.Sys+64<<20 {
		t.Errorf("the server grew by %d MiB", (after.Sys-before.Sys)>>20)
	}
	logged := strings.Count(log.String(), "line=y")
	var dropped, part int
	for _, match := range regexp.MustCompile(`lines_dropped=(\d+)`).FindAllStringSubmatch(log.String(), -1) {
		fmt.Sscan(match[1], &part)
		dropped += part
	}
	if logged+dropped != size/2 || logged < 1000 || logged > 3000 {
		t.Errorf("%d lines were logged and %d dropped, of %d", logged, dropped, size/2)
	}
}

// A descendant that keeps stderr keeps neither the session nor its log.
func TestStderrOutlivesLeader(t *testing.T) {
	var log logBuffer
	d := take(t, newRoute(t, command.Options{
		Command: shell("setsid sh -c 'echo $$; exec sleep 1000 >&-' & read go; echo last words >&2"),
		Log:     log.logger(),
	})).serve()
	pid := d.expectPID()
	d.send("\n")
	d.client.CloseWrite()
	begin := time.Now()
	d.end()
	if took := time.Since(begin); took > patience {
		t.Errorf("the session ended after %v", took)
	}
	if !lives(pid) {
		t.Error("the descendant has ended")
	}
	if !strings.Contains(log.String(), `line="last words"`) {
		t.Errorf("the log says %q", log.String())
	}
}
