package e2e

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jackfield/test/live"
)

// TestMapperServe is a server that follows the protocol's document: it waits for the application's version, sends its own
// and some requests, waits for as many responses in any order, and then for the application to exit. It never ends the
// application's input.
func TestMapperServe(t *testing.T) {
	t.Parallel()
	rules := filepath.Join(t.TempDir(), "rules.hcl")
	if err := os.WriteFile(rules, []byte(`rule "allow" { from = ["192.0.2.0/24"] }`), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("jackfield", "mapper", "serve", "--rules", rules)
	input, err := cmd.StdinPipe() // is closed when the application has exited
	if err != nil {
		t.Fatal(err)
	}
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	impatience := time.AfterFunc(live.Patience, func() { cmd.Process.Kill() })
	defer impatience.Stop()

	output := bufio.NewReader(pipe)
	if line := readLine(t, output); line != "version:1" {
		t.Fatalf("the first line is %q", line)
	}
	want := map[string]string{}
	var asked strings.Builder
	asked.WriteString("version:1\n")
	for i := range 20 {
		id, verdict := fmt.Sprint("q", i), "failure"
		if i%2 == 0 {
			verdict = "success"
		}
		want[id] = verdict
		fmt.Fprintf(&asked, "request:%s\nuser=%d:jbrown\naddr-ip=192.0.%d.2\naddr-fqdn=abc.example.com\nend-of-request:%s\n",
			id, 45678+i, 2+i%2, id)
	}
	if _, err := io.WriteString(input, asked.String()); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		id := strings.TrimPrefix(readLine(t, output), "request:")
		verdict, _, _ := strings.Cut(readLine(t, output), ":")
		if want[id] != verdict {
			t.Errorf("the response to %q is %q, not %q", id, verdict, want[id])
		}
		delete(want, id)
	}
	if rest, err := io.ReadAll(output); len(rest) > 0 || err != nil {
		t.Errorf("more than the responses: %q, %v", rest, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func readLine(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	line, err := r.ReadString('\n')
	if err != nil {
		t.Fatalf("after %q: %v", line, err)
	}
	return strings.TrimSuffix(line, "\n")
}
