package e2e

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"jackfield/internal/api"
	"jackfield/test/live"
)

// The ways in which the bytes of agents' streams come.
var dataPaths = []string{"tls-out", "plain-out", "tls-in", "plain-in"}

// newPaths has an agent for each way, which offers the service "svc" under the name of the way, by TCPMUX and at a port of its own.
func newPaths(t *testing.T, service string) *fleet {
	t.Helper()
	config := fleetConfig
	for _, path := range dataPaths {
		config += fmt.Sprintf(`
listener "port-%[1]s" {
  protocol = "tcp"
  listen   = "127.0.0.1:0"
  service  = %[1]q
}
service %[1]q {
  listeners = ["mux"]
  agent     = %[1]q
}
`, path)
	}
	f := newFleet(t, config)
	offer := func(path string) string { return fmt.Sprintf("service %q {\n  address = %q\n}\n", path, service) }
	f.addInbound(t, config, map[string]string{"tls-in": offer("tls-in"), "plain-in": offer("plain-in")})
	for _, path := range dataPaths[:2] {
		runAgent(t, f.join(t, path, offer(path)))
	}
	for _, path := range dataPaths {
		f.await(t, path, func(a *api.Agent) bool { return a.State == api.AgentLinked && len(a.Services) == 1 })
	}
	return f
}

// addInbound runs agents that listen, and has the server dial them. What they offer is given by their names, which begin with
// their mode: "tls-", "aes-" or "plain-".
func (f *fleet) addInbound(t *testing.T, config string, offers map[string]string) map[string]*agent {
	t.Helper()
	agents := make(map[string]*agent)
	for name, offer := range offers {
		state := filepath.Join(f.dir, name)
		mode, listen, block := "none", "", ""
		switch kind, _, _ := strings.Cut(name, "-"); kind {
		case "tls":
			mode = "ssl"
			state = f.join(t, name, "") // for the certificate
		case "aes":
			mode = "aes"
			listen, block = `  aes_key_file = "aes.key"`, fmt.Sprintf("  aes_key_file = %q\n", filepath.Join(name, "aes.key"))
		}
		os.MkdirAll(state, 0o700)
		writeFile(t, filepath.Join(state, "seal.key"), randomKey()+"\n")
		writeFile(t, filepath.Join(state, "aes.key"), randomKey()+"\n")
		writeFile(t, filepath.Join(state, "agent.hcl"), fmt.Sprintf(`
listen {
  address    = "127.0.0.1:0"
  encryption = %q
  key_file   = "seal.key"
%s
}
%s`, mode, listen, offer))
		a := runAgent(t, state)
		agents[name] = a
		address := a.awaitSaid(t, live.Equal("msg", "listening"))["address"]
		if mode != "aes" {
			block = "  offers    = [\"*\"]\n  listeners = [\"mux\"]\n" + block
		}
		config += fmt.Sprintf("\nagent %q {\n  address    = \"%s\"\n  encryption = %q\n  key_file   = %q\n%s  rule \"allow\" {}\n}\n",
			name, address, mode, filepath.Join(name, "seal.key"), block)
	}
	if out, status := reload(t, f.dir, config); status != 0 {
		t.Fatal(out)
	}
	return agents
}

func randomKey() string {
	key := make([]byte, 32)
	rand.Read(key)
	return hex.EncodeToString(key)
}

// startPeer runs test/peers/agent/streams.py in its role of a service.
func startPeer(t *testing.T) (address string) {
	t.Helper()
	tool(t, "python3", "apt-get install python3")
	p, err := live.Start(exec.Command("python3", "-u", peerScript(t), "serve"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Stop(syscall.SIGTERM) }) // with a status that says nothing
	if err := p.WaitFor(func(output string) bool { return strings.Contains(output, "\n") }); err != nil {
		t.Fatal(err)
	}
	port, _, _ := strings.Cut(p.Output(), "\n")
	return net.JoinHostPort("127.0.0.1", port)
}

func peerScript(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../peers/agent/streams.py")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestAgentStreamsExact: whatever way the bytes of an agent's stream come, the end of a direction leaves the other one open, and a
// reset is a reset, on both sides, each time. Client and service are not Go.
func TestAgentStreamsExact(t *testing.T) {
	t.Parallel()
	nc := tool(t, "nc", "apt-get install netcat-openbsd")
	service := startPeer(t)
	f := newPaths(t, service)
	count := live.Times(20, 100)
	times := fmt.Sprint(count)
	for _, path := range dataPaths {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			_, port, _ := net.SplitHostPort(f.Addresses["port-"+path])
			for _, act := range []struct {
				name, client, end string
				sessions          int
			}{
				{"the client ends first", "reply", "finished", count},
				{"the service ends first", "farewell", "finished", 2 * count}, // with those that ask what it has heard
				{"the client resets", "break", "client reset", count},
				{"the service resets", "reset", "service reset", count},
				{"the service resets after the client's end", "late-reset", "service reset", count},
			} {
				f.acts(t, act.name, path, act.end, act.sessions, exec.Command("python3", peerScript(t), act.client, port, times))
			}
			script := `for i in $(seq $1); do test "$(printf "reply\nquestion $i" | $2 -N 127.0.0.1 $3)" = "got question $i" || exit 1; done`
			f.acts(t, "nc ends first", path, "finished", count, exec.Command("sh", "-c", script, "sh", times, nc, port))
		})
	}
}

// acts runs a client that does something many times, after which the audit has as many more sessions that have ended so.
func (f *fleet) acts(t *testing.T, what, service, end string, sessions int, client *exec.Cmd) {
	t.Helper()
	ended := func() int {
		return len(auditLines(t, f.dir, live.Equal("event", "close"), live.Equal("service", service), live.Equal("end", end)))
	}
	before := ended()
	watchdog := time.AfterFunc(2*live.Patience, func() { client.Process.Kill() })
	defer watchdog.Stop()
	if out, err := client.CombinedOutput(); err != nil {
		t.Errorf("%s: %v: %s", what, err, out)
		return
	}
	if !eventually(func() bool { return ended() == before+sessions }) {
		t.Errorf("%s: %d sessions have ended with %q:\n%v", what, ended()-before, end,
			auditLines(t, f.dir, live.Equal("event", "close"), live.Equal("service", service)))
	}
}

// TestAgentStreamStalled: a stream that nobody reads holds up no other, whichever way the bytes come.
func TestAgentStreamStalled(t *testing.T) {
	t.Parallel()
	service, stop, err := startBackend(func(ctx context.Context, conn *net.TCPConn) {
		kind := make([]byte, 1)
		if io.ReadFull(conn, kind); kind[0] == 'd' {
			<-ctx.Done() // reads nothing more
		}
		io.Copy(conn, conn)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	f := newPaths(t, service)
	for _, path := range dataPaths {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			stalled := f.opens(t, path, "deaf")
			const most = 64 << 20 // far more than the sockets' buffers hold
			stalled.SetWriteDeadline(time.Now().Add(time.Second))
			if sent, err := stalled.ReadFrom(io.LimitReader(endless{}, most)); sent == most || !os.IsTimeout(err) {
				t.Fatalf("%d bytes were sent: %v", sent, err)
			}
			other := f.opens(t, path, "echo")
			text := string(pattern(9, 4<<20))
			go io.WriteString(other, text)
			if err := other.read("cho" + text); err != nil {
				t.Error(err)
			}
			f.await(t, path, func(a *api.Agent) bool { return a.Streams == 2 })
			stalled.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
			if sent, err := stalled.ReadFrom(io.LimitReader(endless{}, most)); sent == most || !os.IsTimeout(err) {
				t.Errorf("the stalled stream has taken %d bytes: %v", sent, err)
			}
			stalled.SetLinger(0)
			stalled.Close()
			other.CloseWrite()
			expectEnd(t, other, "FIN")
			f.await(t, path, func(a *api.Agent) bool { return a.Streams == 0 })
		})
	}
}

func (f *fleet) opens(t *testing.T, service, say string) *client {
	t.Helper()
	c := open(t, f.Server, "mux")
	io.WriteString(c, service+"\r\n"+say)
	expect(t, c, "+\r\n")
	return c
}
