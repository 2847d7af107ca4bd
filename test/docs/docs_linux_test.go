package docs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"jackfield/internal/cli"
	"jackfield/test/live"
)

// TestMain makes "jackfield" a command, which is this binary.
func TestMain(m *testing.M) {
	live.Main(m, map[string]func(){
		"jackfield": func() { os.Exit(cli.Main()) },
	})
}

const root = "../.."

func TestDocumentation(t *testing.T) {
	for _, document := range documents(t) {
		text, err := os.ReadFile(filepath.Join(root, document))
		if err != nil {
			t.Fatal(err)
		}
		if all := blocks(string(text)); len(all) > 0 {
			t.Run(document, func(t *testing.T) { runAll(t, document, all) })
		}
	}
}

func documents(t *testing.T) []string {
	t.Helper()
	list := []string{"README.md"}
	err := fs.WalkDir(os.DirFS(root), "docs", func(path string, _ fs.DirEntry, err error) error {
		if filepath.Ext(path) == ".md" {
			list = append(list, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// harmful is what must not run as part of the tests.
var harmful = regexp.MustCompile(`\bmake (test|soak|bench|peers)\b|\bgo test\b|\bgo run \./bench\b|\bsudo\b|\bapt|/(etc|usr|var)/`)

// server is a block that stands for another terminal.
var server = regexp.MustCompile(`^(jackfield|\./jackfield|go run \./cmd/jackfield) (demo|serve\b.*[^&\n])\n$`)

func runAll(t *testing.T, document string, all []block) {
	var script strings.Builder
	for _, b := range all {
		if found := harmful.FindString(b.text); found != "" {
			t.Errorf("%s:%d has %q: mark the block console", document, b.line, found)
			continue
		}
		fmt.Fprintf(&script, "echo '--- %s:%d'\n", document, b.line)
		if server.MatchString(b.text) {
			script.WriteString(inBackground(strings.TrimSpace(b.text)))
			continue
		}
		script.WriteString(b.text)
	}
	cmd := asWhoTests(t, script.String())
	if document == tutorial {
		cmd = asNewcomer(t, script.String())
	}
	if output, err := run(t, cmd); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}

// inBackground starts a server and waits until it is ready.
func inBackground(command string) string {
	const output = ".server-output"
	return command + " >" + output + " 2>&1 &\n" +
		"until grep -q -e 'What happens:' -e '\"msg\":\"serving\"' " + output + `; do
	kill -0 $! || { cat ` + output + `; exit 1; }
	sleep 0.1
done
`
}

// asWhoTests returns the command that runs a script in a fresh directory that has the checkout's files as links.
func asWhoTests(t *testing.T, script string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sh", "-e", "-c", script)
	cmd.Dir = checkout(t)
	cmd.Env = append(os.Environ(),
		"TMPDIR="+t.TempDir(), // where the document's demo is the only one
		"CGO_ENABLED=0",       // as "make cross" builds: the modules are compiled already then
	)
	return cmd
}

// patience is for a whole document: "go run" may have to compile everything.
const patience = 4 * time.Minute

// run runs a script's command and ends whatever it leaves running.
func run(t *testing.T, cmd *exec.Cmd) (output string, err error) {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "output"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err = runWithin(t.Context(), patience, cmd)
	if stopping := stopGroup(cmd.Process.Pid); err == nil {
		err = stopping
	}
	text, readErr := os.ReadFile(out.Name())
	return string(text), errors.Join(err, readErr)
}

// runWithin runs a command and all that it starts; at the end of its time they are killed.
func runWithin(ctx context.Context, limit time.Duration, cmd *exec.Cmd) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := cmd.Start(); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })()
	return cmd.Wait()
}

// checkout makes a fresh directory with links to what is in the real one.
func checkout(t *testing.T) string {
	t.Helper()
	real, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(real)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		if err := os.Symlink(filepath.Join(real, entry.Name()), filepath.Join(dir, entry.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// stopGroup ends every process of a group.
func stopGroup(group int) error {
	for deadline := time.Now().Add(live.Patience); time.Now().Before(deadline); {
		if syscall.Kill(-group, syscall.SIGTERM) == syscall.ESRCH {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	syscall.Kill(-group, syscall.SIGKILL)
	return errors.New("what the document starts does not stop")
}
