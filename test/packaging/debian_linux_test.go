package packaging

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"jackfield/test/live"
)

const configuration = "/etc/jackfield/jackfield.hcl"

// testDebian is a package's life: it is installed, serves, is upgraded, removed and purged, where systemd does not run.
func testDebian(t *testing.T, dir string) {
	r := newRoot(t)
	before := r.tree(t)
	r.install(t, deb(t, dir, version))
	r.expectInstalled(t, version)
	if said := r.run(t, "systemd-analyze", "verify", "jackfield.service", "jackfield.socket", "jackfield-agent.service"); said != "" {
		t.Errorf("systemd has something against the units:\n%s", said)
	}
	u := parseUnit(t, read(t, r.dir, "usr/lib/systemd/system/jackfield.service"))
	r.serve(t, u, "127.0.0.1:1078")

	// The service goes on as it was set up: with its configuration, its state, and the sockets that somebody has enabled.
	authority := read(t, r.dir, "var/lib/jackfield/ca/ca.pem")
	edited := strings.ReplaceAll(read(t, r.dir, configuration), "127.0.0.1:1078", "127.0.0.1:1079")
	r.write(t, configuration, edited, 0o644)
	r.run(t, "systemctl", "enable", "jackfield.socket")
	r.install(t, deb(t, dir, later))
	r.expectInstalled(t, later)
	if read(t, r.dir, configuration) != edited {
		t.Error("the upgrade has changed the configuration")
	}
	r.serve(t, u, "127.0.0.1:1079")
	if read(t, r.dir, "var/lib/jackfield/ca/ca.pem") != authority {
		t.Error("the upgrade has changed the state")
	}

	r.run(t, "systemctl", "disable", "jackfield.service")
	r.install(t, deb(t, dir, later))
	if r.exists("/etc/systemd/system/multi-user.target.wants/jackfield.service") {
		t.Error("the upgrade has enabled what was disabled")
	}

	r.run(t, "dpkg", "--remove", "jackfield")
	for path, want := range map[string]bool{
		"/usr/bin/jackfield": false, "/usr/lib/systemd/system/jackfield.service": false,
		configuration: true, "/var/lib/jackfield/ca/ca.pem": true,
	} {
		if r.exists(path) != want {
			t.Errorf("once the package is removed, %s is there: %v", path, !want)
		}
	}
	r.run(t, "dpkg", "--purge", "jackfield")
	r.expectTree(t, before)
	if status := r.run(t, "dpkg-query", "--show", "--showformat", "${Package}\n"); strings.Contains(status, "jackfield") {
		t.Error("dpkg knows the package still")
	}
}

// expectInstalled wants what a package of this version has brought with it.
func (r *root) expectInstalled(t *testing.T, version string) {
	t.Helper()
	for what, check := range map[string][2]string{
		"status":    {"dpkg-query --show --showformat ${db:Status-Status}:${Version} jackfield", "installed:" + version + "-1"},
		"files":     {"dpkg --verify jackfield", ""},
		"service":   {"systemctl is-enabled jackfield.service", "enabled"},
		"shell":     {"sh -c getent\tpasswd\tjackfield|cut\t-d:\t-f6,7", "/var/lib/jackfield:/usr/sbin/nologin"},
		"state":     {"stat --format %U:%G:%a /var/lib/jackfield", "jackfield:jackfield:700"},
		"page":      {"man --where jackfield-connect", "/usr/share/man/man1/jackfield-connect.1.gz"},
		"reference": {"man --where 5 jackfield.hcl", "/usr/share/man/man5/jackfield.hcl.5.gz"},
		"check":     {"sh -c jackfield\tcheck\t" + configuration + "|cut\t-c1-4", "ok: "},
	} {
		var command []string
		for word := range strings.SplitSeq(check[0], " ") {
			command = append(command, strings.ReplaceAll(word, "\t", " "))
		}
		out := strings.TrimSuffix(r.run(t, command...), "\n")
		if what == "files" { // an edited configuration is the one file that may differ
			out = strings.TrimSuffix(out, "??5?????? c "+configuration)
		}
		if out != check[1] {
			t.Errorf("%s: %s says %q, not %q", what, command, out, check[1])
		}
	}
}

// serve runs the unit's server as systemd would, has a client exchange something with it at the given address, and reloads
// it.
func (r *root) serve(t *testing.T, u unit, address string) {
	t.Helper()
	r.run(t, u.command("ExecStartPre")...)
	s, err := live.ServeCommand(r.command(u.command("ExecStart")...))
	if err != nil {
		t.Fatal(err)
	}
	exchange(t, address)
	ready(t, s.Addresses["admin"])
	r.run(t, u.command("ExecReload")...)
	exchange(t, address)
	if err := s.Stop(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	for _, file := range files(t, r.dir, "var/lib/jackfield/*") {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode&0o077 != 0 {
			t.Errorf("%s has mode %v", filepath.Base(file), mode)
		}
	}
}

// exchange has the service echo of a TCPMUX port answer.
func exchange(t *testing.T, address string) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, live.Patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(live.Patience))
	if _, err := io.WriteString(conn, "echo\r\nhello\n"); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if _, said, _ := strings.Cut(string(answer), "\r\n"); err != nil || answer[0] != '+' || said != "hello\n" {
		t.Errorf("%s answers %q (%v)", address, answer, err)
	}
}

// ready wants a server whose admin port says that it accepts connections.
func ready(t *testing.T, admin string) {
	t.Helper()
	client := http.Client{Timeout: live.Patience}
	response, err := client.Get("http://" + admin + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("the server is not ready: %s", response.Status)
	}
}
