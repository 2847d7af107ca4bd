package packaging

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// recorder is a systemctl that writes down what it is asked to do, but for that which only sets links. Everything is enabled
// and active.
const recorder = `#!/bin/sh
case "$*" in
*is-enabled*) echo enabled ;;
*is-active* | *preset*) ;;
*) echo "$*" >>/systemctl.log ;;
esac
`

// testSystemd is a package's life where systemd runs, whose part a recorder plays: what is started, and when.
func testSystemd(t *testing.T, dir string) {
	const (
		loaded    = "daemon-reload"
		started   = "start jackfield.service"
		restarted = "restart jackfield.service"
		agent     = "restart jackfield-agent.service"
		stopped   = "stop jackfield.socket jackfield.service jackfield-agent.service"
	)
	r := newRoot(t)
	if err := os.MkdirAll(filepath.Join(r.dir, "run/systemd/system"), 0o755); err != nil {
		t.Fatal(err)
	}
	r.run(t, "dpkg-divert", "--local", "--rename", "/usr/bin/systemctl")
	r.write(t, "/usr/bin/systemctl", recorder, 0o755)

	r.install(t, deb(t, dir, version))
	r.expectCalls(t, "install", loaded, started)
	r.install(t, deb(t, dir, later))
	r.expectCalls(t, "upgrade", loaded, restarted, agent)

	good := read(t, r.dir, configuration)
	r.write(t, configuration, good+"no_such = 1\n", 0o644)
	out := r.install(t, deb(t, dir, version))
	r.expectCalls(t, "upgrade with a configuration that is not accepted", loaded, agent)
	if !strings.Contains(out, "no_such") || !strings.Contains(out, "the server was not restarted") {
		t.Errorf("the upgrade says\n%s", out)
	}
	r.write(t, configuration, good, 0o644)

	r.run(t, "dpkg", "--remove", "jackfield")
	r.expectCalls(t, "remove", stopped, loaded)
	r.run(t, "dpkg", "--purge", "jackfield")
	r.expectCalls(t, "purge")

	r.write(t, "/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
	r.install(t, deb(t, dir, version))
	r.install(t, deb(t, dir, later))
	r.run(t, "dpkg", "--purge", "jackfield")
	r.expectCalls(t, "where policy-rc.d forbids it", loaded, loaded, loaded)
}

// expectCalls wants systemctl to have been called like this since the last time. Options are left out.
func (r *root) expectCalls(t *testing.T, when string, want ...string) {
	t.Helper()
	var calls []string
	if r.exists("/systemctl.log") {
		for line := range strings.Lines(read(t, r.dir, "systemctl.log")) {
			words := slices.DeleteFunc(strings.Fields(line), func(word string) bool { return strings.HasPrefix(word, "-") })
			calls = append(calls, strings.Join(words, " "))
		}
		if err := os.Remove(filepath.Join(r.dir, "systemctl.log")); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(calls, want) {
		t.Errorf("%s: systemctl was called with %q, not %q", when, calls, want)
	}
}
