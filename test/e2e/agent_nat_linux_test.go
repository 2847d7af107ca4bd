package e2e

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"jackfield/internal/api"
	"jackfield/test/live"
)

const agentNATConfig = `
data_dir = "data"
admin {
  listen = "127.0.0.1:0"
}
listener "web" {
  protocol = "https"
  listen   = "198.51.100.1:8443"
  names    = ["198.51.100.1"]
}
listener "mux" {
  protocol = "tcpmux"
  listen   = "203.0.113.1:1078"
}
listener "ssh-port" {
  protocol = "tcp"
  listen   = "203.0.113.1:2201"
  service  = "ssh"
}
listener "web-port" {
  protocol = "tcp"
  listen   = "203.0.113.1:8002"
  service  = "www"
}
agent "gate" {
  offers    = ["*"]
  listeners = ["mux"]
  rule "allow" {}
}
service "ssh" {
  listeners = ["mux"]
  agent     = "gate"
}
service "www" {
  listeners = ["mux"]
  agent     = "gate"
  address   = "10.0.0.2:8080"
}
`

const gateOffer = `
service "ssh" {
  address = "127.0.0.1:2222"
}
service "page" {
  address = "10.0.0.2:8080"
}
allow = ["10.0.0.0/24:8080"]
`

// A natSite is a server, an agent behind a router that translates addresses, and a client; neither of the latter has a way to the
// other.
//
//	agent gate 10.0.0.2 - router 198.51.100.2 - 198.51.100.1 server 203.0.113.1 - 203.0.113.2 client
type natSite struct {
	*fleet
	internet, gate, client *namespace
	agent                  *agent
	dir                    string
}

func newNATSite(t *testing.T) *natSite {
	t.Helper()
	s := &natSite{internet: newNamespace(t), client: newNamespace(t), dir: t.TempDir()}
	s.gate = behindNAT(t, s.internet, "isp1", "198.51.100.1", "198.51.100.2")
	join(t, s.internet, "lan", "203.0.113.1/24", s.client, "eth", "203.0.113.2/24")
	writeConfig(t, s.dir, agentNATConfig)
	cmd := s.internet.command("jackfield", "serve", "--config", "jackfield.hcl")
	cmd.Dir = s.dir
	server, err := live.ServeCommand(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
	})
	s.fleet = &fleet{&office{Server: server, dir: s.dir}}
	state := filepath.Join(s.dir, "gate")
	s.joinBy(t, s.gate.command(append([]string{"jackfield"}, joinCommand("https://198.51.100.1:8443", state)...)...), s.enroll(t, "gate"))
	writeFile(t, filepath.Join(state, "agent.hcl"), gateOffer)
	s.agent = runAgentBy(t, s.gate.command("jackfield", "agent", "run", "--state", state), state)
	s.awaitPublished(t, "gate", 1) // the configuration has a service "ssh"
	return s
}

// answers says whether ssh does.
func (s *natSite) answers() bool {
	out, _ := s.client.command("sh", "-c", "printf 'ssh\\r\\n' | timeout 10 nc -N 203.0.113.1 1078 | head -c 7").Output()
	return string(out) == "+\r\nSSH-"
}

// TestAgentBehindNAT reaches ssh and HTTP on an agent's machine, and has a bulk of 64 MiB, 1 GiB where $JACKFIELD_SOAK is set, come
// whole.
func TestAgentBehindNAT(t *testing.T) {
	t.Parallel()
	sshd := peerProgram(t, "openssh-server", "usr/sbin/sshd")
	s := newNATSite(t)
	if state := s.agentState(t, "gate"); !strings.HasPrefix(state.Source.String(), "198.51.100.2:") {
		t.Errorf("the agent comes from %s", state.Source)
	}
	key := startSSH(t, s.gate, sshd, filepath.Join(s.dir, "ssh"))
	page := startWeb(t, s.gate, filepath.Join(s.dir, "www"))
	bulk := writeRandom(t, filepath.Join(s.dir, "www", "bulk"), live.Times(64, 1024))
	if err := s.client.command("nc", "-z", "-w", "2", hidden, "2222").Run(); err == nil {
		t.Error("the agent can be reached without its link")
	}

	text := string(pattern(5, 1<<20))
	for name, option := range map[string]string{
		"TCPMUX": "ProxyCommand=jackfield tcpmux 203.0.113.1:1078 ssh", "port": "ProxyCommand=nc 203.0.113.1 2201",
	} {
		ssh := s.client.command(sshCommand(key, option, "cat; echo from $(cat /proc/$PPID/net/fib_trie | grep -c '"+hidden+"$')")...)
		ssh.Stdin = strings.NewReader(text)
		var complaint bytes.Buffer
		ssh.Stderr = &complaint
		out, err := ssh.Output()
		rest, whole := bytes.CutPrefix(out, []byte(text))
		if err != nil || !whole || !strings.HasPrefix(string(rest), "from ") || string(rest) == "from 0\n" {
			t.Errorf("ssh by %s: %v: %s; %d bytes came back; %q follows", name, err, complaint.String(), len(out)-len(rest), brief(rest))
		}
	}
	if out, err := s.client.command("curl", "-sSf", "--max-time", "120", "http://203.0.113.1:8002/page").Output(); err != nil || !bytes.Equal(out, page) {
		t.Errorf("HTTP: %v, %s", err, brief(out))
	}
	began := time.Now()
	out, err := s.client.command("sh", "-c", "curl -sSf http://203.0.113.1:8002/bulk | sha256sum").Output()
	if err != nil || !strings.HasPrefix(string(out), bulk+" ") {
		t.Errorf("the bulk: %v, %s, not %s", err, out, bulk)
	}
	t.Logf("%d MiB took %v", live.Times(64, 1024), time.Since(began))
	get := s.client.command("jackfield", "tcpmux", "203.0.113.1:1078", "page")
	get.Stdin = strings.NewReader("GET /page HTTP/1.0\r\n\r\n")
	if out, err := get.Output(); err != nil || !bytes.HasPrefix(out, []byte("HTTP/1.0 200 ")) || !bytes.HasSuffix(out, page) {
		t.Errorf("HTTP by TCPMUX: %v, %s", err, brief(out))
	}
}

func (f *fleet) agentState(t *testing.T, name string) api.Agent {
	t.Helper()
	admin := f.admin(t)
	defer admin.Close()
	state, err := admin.Agent(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// writeRandom writes so many MiB, and returns their SHA-256.
func writeRandom(t *testing.T, path string, mebibytes int) (sum string) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(file, hash), rand.Reader, int64(mebibytes)<<20); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// backAgain is how soon after the cause is gone an agent's services are to be reached again.
const backAgain = 20 * time.Second

// TestAgentNetworkCut: an agent whose packets are lost, for longer than silence is tolerated, is gone for the server, and so are its
// streams and the names of its services; once packets arrive again, it comes again by itself, and nothing has leaked.
func TestAgentNetworkCut(t *testing.T) {
	t.Parallel()
	sshd := peerProgram(t, "openssh-server", "usr/sbin/sshd")
	s := newNATSite(t)
	key := startSSH(t, s.gate, sshd, filepath.Join(s.dir, "ssh"))
	use := func() {
		if !eventually(s.answers) {
			t.Fatal("ssh does not answer")
		}
	}
	use()
	before := s.held(t)

	stay := s.client.command(sshCommand(key, "ProxyCommand=nc 203.0.113.1 2201", "echo here; sleep 600")...)
	session, err := live.Start(stay)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Stop(syscall.SIGKILL) })
	if err := session.WaitFor(func(output string) bool { return strings.Contains(output, "here") }); err != nil {
		t.Fatal(err)
	}
	cut := time.Now()
	loseAll(t, s.internet, "isp1")
	loseAll(t, s.gate, "eth")
	s.awaitState(t, "gate", api.AgentAway)
	awaitLog(t, s.Server, live.Equal("msg", "agent gone"), live.Equal("why", "the agent does not answer any more"))
	session.Stop(syscall.Signal(0)) // is over, and not in order
	if help, _ := s.client.command("sh", "-c", "printf 'help\\r\\n' | nc 203.0.113.1 1078").Output(); strings.Contains(string(help), "page") {
		t.Errorf("help lists what is not there: %q", help)
	}
	if listed := s.cli(t, "", "agent", "ls"); !regexp.MustCompile(`\ngate +away `).MatchString(listed) {
		t.Errorf("agent ls:\n%s", listed)
	}
	s.agent.awaitSaid(t, live.Equal("msg", "no link to the server"), live.Equal("error", "the server does not answer any more"))
	time.Sleep(time.Until(cut.Add(time.Duration(live.Times(0, 60)) * time.Second))) // is what this test is about

	arriveAgain(t, s.internet)
	arriveAgain(t, s.gate)
	back := time.Now()
	s.awaitPublished(t, "gate", 1)
	use()
	expectSoon(t, "ssh answers again", time.Now(), back, backAgain)
	s.expectHolding(t, before)
}

// loseAll has a network lose all packets that come by an interface, and arriveAgain none any more.
func loseAll(t *testing.T, n *namespace, device string) {
	t.Helper()
	s := fmt.Sprintf("table ip cut {\nchain input {\ntype filter hook prerouting priority -300\niifname %q drop\n}\n}\n", device)
	cmd := n.command(peerProgram(t, "nftables", "usr/sbin/nft"), "-f", "-")
	cmd.Stdin = strings.NewReader(s)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("nft: %v: %s", err, out)
	}
}

func arriveAgain(t *testing.T, n *namespace) {
	t.Helper()
	n.sh(t, peerProgram(t, "nftables", "usr/sbin/nft")+" delete table ip cut")
}

// holdings are what the server and the agent hold.
type holdings struct {
	server, agent int // open descriptors
	goroutines    int // of the server
}

func (s *natSite) holding(t *testing.T) holdings {
	t.Helper()
	ready := s.ready(t, "gate")
	return holdings{countDescriptors(t, s.Server) - ready, s.agent.descriptors(t) - ready, s.goroutines(t) - ready}
}

// held is what they hold once it stays the same.
func (s *natSite) held(t *testing.T) holdings {
	t.Helper()
	return holdings{
		settled(func() int { return s.holding(t).server }), settled(func() int { return s.holding(t).agent }),
		usual(func() int { return s.holding(t).goroutines }),
	}
}

// goroutines reads the server's metrics, which are in its network.
func (s *natSite) goroutines(t *testing.T) (n int) {
	t.Helper()
	out, err := s.internet.command("curl", "-sS", "http://"+s.Addresses["admin"]+"/metrics").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		if rest, found := strings.CutPrefix(line, "go_goroutines "); found {
			fmt.Sscan(rest, &n)
		}
	}
	if n == 0 {
		t.Fatal("there is no metric go_goroutines")
	}
	return n
}

// expectHolding waits until neither holds more than before.
func (s *natSite) expectHolding(t *testing.T, before holdings) {
	t.Helper()
	if !eventually(func() bool {
		now := s.holding(t)
		return now.server <= before.server && now.agent <= before.agent && now.goroutines <= before.goroutines
	}) {
		t.Errorf("%+v was held, now it is %+v", before, s.holding(t))
	}
}
