package e2e

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"jackfield/test/live"
)

const reloadConfig = `
data_dir = "data"
listener "mux" {
  protocol = "tcpmux"
  listen   = "127.0.0.1:0"
}
listener "port" {
  protocol = "tcp"
  listen   = "127.0.0.1:0"
  service  = "echo"
}
service "echo" {
  listeners = ["mux"]
  address   = env("echo")
}
service "cat" {
  listeners = ["mux"]
  command   = ["/bin/cat"]
}
`

// badLine follows reloadConfig.
const badLine = `adress = "a mistake"`

// A transferSize is sent by each session, and comes back. Each part of it waits for a reload.
const transferSize = 1 << 20

// TestReloadLosesNothing reloads, good and bad files in turn, while sessions transfer and others open and end.
func TestReloadLosesNothing(t *testing.T) {
	sessions, reloads := live.Times(100, 500), live.Times(30, 100)
	s, dir := serveEcho(t, reloadConfig)
	sessions = idleWithin(t, 2*sessions) / 2 // their other ends are here, too

	reloaded := make([]chan struct{}, reloads)
	for i := range reloaded {
		reloaded[i] = make(chan struct{})
	}
	var running sync.WaitGroup
	for i := range sessions {
		c := open(t, s, []string{"mux", "port"}[i%2])
		if i%2 == 0 {
			say(t, c, "echo\r\n")
			expect(t, c, "+\r\n")
		} // the transfer of a port shows that the session is open
		c.SetDeadline(time.Now().Add(4 * live.Patience))
		running.Go(func() {
			if err := transfer(c, uint64(i), reloaded); err != nil {
				t.Errorf("session %d: %v", i, err)
			}
		})
	}
	var newcomers int
	running.Go(func() { newcomers = comeAndGo(t, s, reloaded[reloads-1]) })

	reloadOften(t, dir, reloaded)
	running.Wait()
	if newcomers < reloads/10 {
		t.Errorf("%d sessions opened meanwhile", newcomers)
	}
	t.Logf("%d sessions opened meanwhile", newcomers)
	checkAudit(t, dir, sessions)
}

// reloadOften closes the channels, one after each reload.
func reloadOften(t *testing.T, dir string, reloaded []chan struct{}) {
	generation := 1
	for i, done := range reloaded {
		text, status := fmt.Sprintf("%sservice \"extra-%d\" {\n  listeners = [\"mux\"]\n  builtin = \"echo\"\n}\n", reloadConfig, i), 0
		if i%2 == 1 {
			text, status = reloadConfig+badLine+"\n", 2
		} else {
			generation++
		}
		out, got := reload(t, dir, text)
		want := fmt.Sprintf("configuration %d is at work", generation)
		if status != 0 {
			want = fmt.Sprintf("on jackfield.hcl line %d", 1+strings.Count(reloadConfig, "\n"))
		}
		if got != status || !strings.Contains(out, want) {
			t.Errorf("reload %d: exit status %d, not %d with %q:\n%s", i, got, status, want, out)
		}
		close(done)
	}
}

// reload has the server take up another configuration.
func reload(t *testing.T, dir, config string) (output string, status int) {
	t.Helper()
	writeConfig(t, dir, config)
	cmd := exec.Command("jackfield", "reload", "--socket", "data/admin.sock")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return string(out), exit.ExitCode()
	}
	if err != nil {
		t.Error(err)
	}
	return string(out), 0
}

// transfer sends random bytes, a part after each reload, and wants them back.
func transfer(c *client, seed uint64, reloaded []chan struct{}) error {
	var sending sync.WaitGroup
	sent, received := sha256.New(), sha256.New()
	var sendErr error
	sending.Go(func() {
		random := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
		part := make([]byte, transferSize/len(reloaded)+1)
		for left := transferSize; left > 0 && sendErr == nil; {
			part = part[:min(left, len(part))]
			random.Read(part)
			sent.Write(part)
			_, sendErr = c.Write(part)
			left -= len(part)
			if len(reloaded) > 0 {
				<-reloaded[0]
				reloaded = reloaded[1:]
			}
		}
		if sendErr == nil {
			sendErr = c.CloseWrite()
		}
	})
	n, err := io.Copy(received, c)
	sending.Wait()
	switch {
	case err != nil || sendErr != nil:
		return fmt.Errorf("after %d bytes: %w", n, errors.Join(err, sendErr))
	case n != transferSize:
		return fmt.Errorf("%d bytes came back", n)
	case string(sent.Sum(nil)) != string(received.Sum(nil)):
		return errors.New("other bytes came back")
	}
	return nil
}

// comeAndGo opens one session after the other until done. It returns how many.
func comeAndGo(t *testing.T, s *live.Server, done <-chan struct{}) (count int) {
	kinds := []struct{ listener, say, expect string }{
		{"mux", "echo\r\nhello", "+\r\nhello"},
		{"mux", "cat\r\nhello", "+\r\nhello"},
		{"port", "hello", "hello"},
	}
	for {
		select {
		case <-done:
			return count
		default:
		}
		kind := kinds[count%len(kinds)]
		if err := exchange(s.Addresses[kind.listener], kind.say, kind.expect); err != nil {
			t.Errorf("newcomer %d, %q: %v", count, kind.say, err)
		}
		count++
	}
}

// exchange opens a session, says something, ends its side, and wants an answer.
func exchange(address, say, answer string) error {
	c, err := connect(address)
	if err != nil {
		return err
	}
	defer c.close()
	if c.reset {
		return syscall.ECONNRESET
	}
	if _, err := io.WriteString(c, say); err != nil {
		return err
	}
	if err := c.CloseWrite(); err != nil {
		return err
	}
	got, err := io.ReadAll(c)
	if err == nil && string(got) != answer {
		err = fmt.Errorf("the answer is %q", got)
	}
	return err
}

func checkAudit(t *testing.T, dir string, transfers int) {
	t.Helper()
	read := func(tests ...live.Test) []live.Line { return auditLines(t, dir, tests...) }
	size := fmt.Sprint(transferSize)
	whole := []live.Test{
		live.Equal("event", "close"), live.Equal("end", "finished"),
		live.Equal("bytes_from_client", size), live.Equal("bytes_from_service", size),
	}
	if !eventually(func() bool { return len(read(live.Equal("event", "open"))) == len(read(live.Equal("event", "close"))) }) {
		t.Error("sessions are still open")
	}
	if n := len(read(whole...)); n != transfers {
		t.Errorf("the audit knows %d whole transfers, not %d", n, transfers)
	}
	finished := read(live.Equal("event", "close"), live.Equal("end", "finished"))
	if all := read(live.Equal("event", "close")); len(all) != len(finished) {
		t.Errorf("%d of %d sessions finished", len(finished), len(all))
	}
	if refused := read(live.Equal("event", "refuse")); len(refused) > 0 {
		t.Errorf("refused: %v", refused)
	}
}

// serveEcho serves a configuration that has the backend "echo".
func serveEcho(t *testing.T, config string, environment ...string) (s *live.Server, dir string) {
	t.Helper()
	dir = t.TempDir()
	writeConfig(t, dir, config)
	s, err := live.Serve(dir, "jackfield.hcl", append(environment, "echo="+startEcho(t))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
	})
	return s, dir
}

func startEcho(t *testing.T) (address string) {
	t.Helper()
	address, stop, err := startBackend(backends["echo"])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return address
}

func writeConfig(t *testing.T, dir, config string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "jackfield.hcl"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
}

func auditLines(t *testing.T, dir string, tests ...live.Test) []live.Line {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "data/audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	return live.Select(string(text), tests...)
}
