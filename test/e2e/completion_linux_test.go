package e2e

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"jackfield/test/live"
)

// A shell that completes, and how it is made to.
type shell struct {
	name    string
	command []string
	setup   string
}

var shells = []shell{
	{"bash", []string{"bash", "--norc", "-i"}, "source <(jackfield completion bash); PS1='$'' '"},
	{"bash with bash-completion", []string{"bash", "--norc", "-i"},
		". /usr/share/bash-completion/bash_completion; source <(jackfield completion bash); PS1='$'' '"},
	{"zsh", []string{"zsh", "-f", "-i"}, "autoload -U compinit; compinit -u -D; source <(jackfield completion zsh); PS1='$'' '"},
	{"fish", []string{"fish", "--no-config", "-i"}, "jackfield completion fish | source; function fish_prompt; echo '$'' '; end"},
}

// TestCompletion presses Tab in real shells.
func TestCompletion(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	hold := d.command(t, "jackfield", "connect", "loop")
	input, err := hold.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := hold.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		input.Close()
		hold.Wait()
	})
	var session string
	if !eventually(func() bool {
		said, _ := d.run(t, 0, "jackfield", "sessions")
		_, line, _ := strings.Cut(said, "\n")
		session, _, _ = strings.Cut(line, " ")
		return session != ""
	}) {
		t.Fatal("there is no session")
	}
	server := "127.0.0.1-" + d.address[strings.LastIndex(d.address, ":")+1:]
	for _, s := range shells {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			screen := d.shell(t, s)
			for _, test := range []struct{ typed, runs string }{
				{"jackfield conn", "connect"},
				{"jackfield connect lo", "connect loop"},
				{"jackfield forward echo ss", "forward echo ssh.board-1"},
				{"echo x | jackfield connect ec", "connect echo"},
				{"jackfield context use 127", "context use " + server},
				{"jackfield sessions --context 127", "sessions --context " + server},
				{"jackfield disconnect " + session[:2], "disconnect " + session},
				{"jackfield completion powers", "completion powershell"},
				{"jackfield connect no", "connect no"},
			} {
				var ran string
				if !eventually(func() bool { ran = screen.runs(t, test.typed+"\t\r"); return ran == test.runs }) {
					t.Errorf("%q runs %q, not %q", test.typed, ran, test.runs)
				}
			}
		})
	}
}

// TestCompletionAlone: where there is nothing to offer, Tab offers nothing, says nothing and does not make one wait.
func TestCompletionAlone(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	stranger := &desk{dir: t.TempDir(), address: d.address}
	hole := newHole(t) // takes connections and never answers
	lost := &desk{dir: t.TempDir(), address: hole}
	d.run(t, 0, "sh", "-c", "mkdir -p -m 700 "+lost.dir+"/config/jackfield/contexts && umask 077 && "+
		"sed s/"+d.address+"/"+hole+"/ config/jackfield/contexts/*.json >"+lost.dir+"/config/jackfield/contexts/lost.json && "+
		"printf lost >"+lost.dir+"/config/jackfield/current")
	d.stop(t)
	away := &desk{dir: d.dir, address: d.address}
	var asking sync.WaitGroup
	for name, who := range map[string]*desk{"nobody has logged in": stranger, "the server is away": away, "the server does not answer": lost} {
		for _, words := range []string{"connect", "forward", "disconnect", "audit --service", "why"} {
			cmd := who.command(t, append(append([]string{"jackfield", "__complete"}, strings.Fields(words)...), "")...)
			asking.Go(func() {
				said, err := cmd.Output() // shells do not show standard error
				if err != nil || string(said) != ":4\n" {
					t.Errorf("%s: %s: %q, %v", name, words, said, err)
				}
			})
		}
	}
	asking.Wait()
	d.serve(t, "data")
}

// shell starts a shell at a terminal. Its jackfield completes as the real one does, and shows else how it is called.
func (d *desk) shell(t *testing.T, s shell) *terminal {
	t.Helper()
	if _, err := exec.LookPath(s.command[0]); err != nil {
		live.Missing(t, s.command[0], "run make peers")
	}
	program, err := exec.LookPath("jackfield")
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	writeFile(t, filepath.Join(home, "jackfield"), `#!/bin/sh
case $1$2 in
	__complete*|completionbash|completionzsh|completionfish) exec `+program+` "$@" ;;
esac
echo "<$*>"
`)
	if err := os.Chmod(filepath.Join(home, "jackfield"), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := d.command(t, s.command...)
	cmd.Env = append(cmd.Env, "HOME="+home, "XDG_DATA_HOME="+home, "TERM=dumb", "PATH="+home+":"+os.Getenv("PATH"))
	screen := startAtTerminal(t, cmd)
	screen.types(t, s.setup+"; echo set''up\r")
	screen.showsInTurn(t, "setup", "$ ")
	return screen
}

var called = regexp.MustCompile(`(?s)<([a-z][^<>]*)>.*\$ `)

// runs types a line and returns how it calls jackfield. (A server that has other things to do for a second completes nothing.)
func (s *terminal) runs(t *testing.T, line string) string {
	t.Helper()
	before := len(s.Text())
	s.types(t, line)
	var call []string
	if !eventually(func() bool { call = called.FindStringSubmatch(s.Text()[before:]); return call != nil }) {
		t.Fatalf("%q calls nothing:\n%q", line, s.Text())
	}
	return call[1]
}

// newHole returns an address that takes connections and never says anything.
func newHole(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener.Addr().String()
}
