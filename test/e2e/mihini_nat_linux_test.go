package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"jackfield/test/live"
)

const natConfig = `
data_dir = "data"
listener "field" {
  protocol = "mihini"
  listen   = "198.51.100.1:2065"
}
listener "mux" {
  protocol = "tcpmux"
  listen   = "127.0.0.1:1078"
}
listener "ssh-port" {
  protocol = "tcp"
  listen   = "127.0.0.1:2201"
  service  = "ssh"
}
listener "web-port" {
  protocol = "tcp"
  listen   = "127.0.0.1:8002"
  service  = "web"
}
device "gate" {
  from        = ["198.51.100.2"]
  close_delay = "0s"
}
device "pump" {
  from        = ["203.0.113.2"]
  close_delay = "0s"
}
service "ssh" {
  listeners = ["mux"]
  device    = "gate"
  address   = ":2222"
}
service "web" {
  listeners = ["mux"]
  device    = "pump"
  address   = "10.0.0.2:8080"
}
`

// TestBehindNAT reaches ssh on one device and HTTP on another. Both have the same private address, each behind a router that
// translates it; the server and its clients have no route to either.
//
//	device gate 10.0.0.2 - router 198.51.100.2 - 198.51.100.1 server 203.0.113.1 - 203.0.113.2 router - 10.0.0.2 device pump
func TestBehindNAT(t *testing.T) {
	t.Parallel()
	sshd := peerProgram(t, "openssh-server", "usr/sbin/sshd")
	internet := newNamespace(t)
	gate := behindNAT(t, internet, "isp1", "198.51.100.1", "198.51.100.2")
	pump := behindNAT(t, internet, "isp2", "203.0.113.1", "203.0.113.2")

	dir := t.TempDir()
	writeConfig(t, dir, natConfig)
	cmd := internet.command("jackfield", "serve", "--config", "jackfield.hcl")
	cmd.Dir = dir
	s, err := live.ServeCommand(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
	})
	f := &field{Server: s, dir: dir}

	key := startSSH(t, gate, sshd, filepath.Join(dir, "ssh"))
	page := startWeb(t, pump, filepath.Join(dir, "www"))
	startProcess(t, gate.command("jackfield", "mihini", "device", "--server", "198.51.100.1:2065", "--allow", "127.0.0.1:2222"))
	startProcess(t, pump.command("jackfield", "mihini", "device", "--server", "198.51.100.1:2065", "--allow", "10.0.0.0/24:8080"))
	f.awaitDevice(t, "gate", 1)
	f.awaitDevice(t, "pump", 1)
	for device, source := range map[string]string{"gate": "198.51.100.2:", "pump": "203.0.113.2:"} {
		if state := f.device(t, device); !strings.HasPrefix(state.Source, source) {
			t.Errorf("%s comes from %s", device, state.Source)
		}
	}
	if err := internet.command("nc", "-z", "-w", "2", hidden, "2222").Run(); err == nil {
		t.Error("the device can be reached without its link")
	}

	text := string(pattern(5, 1<<20))
	for _, way := range []struct{ name, option string }{
		{"TCPMUX", "ProxyCommand=jackfield tcpmux 127.0.0.1:1078 ssh"},
		{"port", "Port=2201"},
	} {
		t.Run("ssh by "+way.name, func(t *testing.T) {
			f.eventuallyOpen(t, internet, "2201")
			ssh := internet.command(sshCommand(key, way.option, "cat; echo from $(cat /proc/$PPID/net/fib_trie | grep -c '"+hidden+"$')")...)
			ssh.Stdin = strings.NewReader(text)
			var complaint bytes.Buffer
			ssh.Stderr = &complaint
			out, err := ssh.Output()
			if err != nil {
				t.Fatalf("%v: %s", err, complaint.String())
			}
			rest, whole := bytes.CutPrefix(out, []byte(text))
			if !whole || !strings.HasPrefix(string(rest), "from ") || string(rest) == "from 0\n" {
				t.Errorf("%d bytes came back; %q follows", len(out)-len(rest), brief(rest))
			}
		})
	}
	t.Run("HTTP by TCPMUX", func(t *testing.T) {
		get := internet.command("jackfield", "tcpmux", "127.0.0.1:1078", "web")
		get.Stdin = strings.NewReader("GET /page HTTP/1.0\r\n\r\n")
		out, err := get.Output()
		if err != nil || !bytes.HasPrefix(out, []byte("HTTP/1.0 200 ")) || !bytes.HasSuffix(out, page) {
			t.Errorf("%v, %s", err, brief(out))
		}
	})
	t.Run("HTTP by port", func(t *testing.T) {
		f.eventuallyOpen(t, internet, "8002")
		out, err := internet.command("curl", "-sSf", "--max-time", "120", "http://127.0.0.1:8002/page").Output()
		if err != nil || !bytes.Equal(out, page) {
			t.Errorf("%v, %s", err, brief(out))
		}
	})
	for _, service := range []string{"ssh", "web"} {
		f.expectFinished(t, service)
	}
}

// eventuallyOpen waits until a port, which follows its device, is open.
func (f *field) eventuallyOpen(t *testing.T, n *namespace, port string) {
	t.Helper()
	if !eventually(func() bool { return n.command("nc", "-z", "127.0.0.1", port).Run() == nil }) {
		t.Errorf("port %s stays closed", port)
	}
}

// expectFinished wants the record of a session by name that carried bytes both ways.
func (f *field) expectFinished(t *testing.T, service string) {
	t.Helper()
	carried := func() (n int) {
		for _, line := range f.closed(t, service) {
			if line["end"] == "finished" && fmt.Sprint(line["bytes_from_service"]) != "0" && fmt.Sprint(line["bytes_from_client"]) != "0" {
				n++
			}
		}
		return n
	}
	if !eventually(func() bool { return carried() == 2 }) {
		t.Errorf("%s: the audit says %v", service, f.closed(t, service))
	}
}

// startSSH runs an sshd of our own in a namespace, for the user who runs the test, and returns the directory of its keys.
func startSSH(t *testing.T, n *namespace, sshd, dir string) (keys string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"host", "user"} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, key)).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen: %v: %s", err, out)
		}
	}
	host, err := os.ReadFile(filepath.Join(dir, "host.pub"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "known_hosts"), "device "+string(host))
	writeFile(t, filepath.Join(dir, "sshd_config"), fmt.Sprintf(`
ListenAddress 127.0.0.1:2222
HostKey %[1]s/host
AuthorizedKeysFile %[1]s/user.pub
PidFile none
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
`, dir))
	run := []string{sshd, "-D", "-e", "-f", filepath.Join(dir, "sshd_config")}
	if os.Getuid() == 0 {
		run = append(privateAccounts(t, dir), run...)
	}
	p, err := live.Start(n.command(run...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Stop(syscall.SIGTERM) }) // with a status that says nothing
	if err := p.WaitFor(func(output string) bool { return strings.Contains(output, "Server listening") }); err != nil {
		t.Fatal(err)
	}
	return dir
}

// privateAccounts returns the beginning of a command that sees the user and the directory that sshd, started by root, wants.
func privateAccounts(t *testing.T, dir string) []string {
	t.Helper()
	accounts, err := os.ReadFile("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "passwd")
	writeFile(t, path, string(accounts)+"sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\n")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	const script = `mount --bind "$1" /etc/passwd && mount -t tmpfs -o mode=755 none /run && mkdir /run/sshd && shift && exec "$@"`
	return []string{"unshare", "--mount", "sh", "-euc", script, "sh", path}
}

// sshCommand returns a client's command. Nothing of the user's own configuration counts.
func sshCommand(keys, option, remote string) []string {
	return []string{
		"ssh", "-F", "none", "-T", "-i", filepath.Join(keys, "user"), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
		"-o", "UserKnownHostsFile=" + filepath.Join(keys, "known_hosts"), "-o", "GlobalKnownHostsFile=none",
		"-o", "HostKeyAlias=device", "-o", option, "127.0.0.1", remote,
	}
}

// startWeb serves a page by HTTP in a namespace, and returns it.
func startWeb(t *testing.T, n *namespace, dir string) (page []byte) {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	page = pattern(6, 300000)
	writeFile(t, filepath.Join(dir, "page"), string(page))
	p, err := live.Start(n.command("python3", "-u", "-m", "http.server", "--bind", hidden, "--directory", dir, "8080"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Stop(syscall.SIGTERM) }) // with a status that says nothing
	if err := p.WaitFor(func(output string) bool { return strings.Contains(output, "Serving") }); err != nil {
		t.Fatal(err)
	}
	return page
}
