package e2e

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"jackfield/internal/api"
	"jackfield/test/live"
)

// fleetConfig is a server that agents come to. Whatever they offer, everybody may use.
const fleetConfig = `
data_dir      = "data"
drain_timeout = "1s"
cut_on_reload = true
admin {
  listen = "127.0.0.1:0"
}
listener "web" {
  protocol = "https"
  listen   = "127.0.0.1:0"
}
listener "data" {
  protocol = "agent-data"
  listen   = "127.0.0.1:0"
}
listener "mux" {
  protocol = "tcpmux"
  listen   = "127.0.0.1:0"
}
agent "plain-*" {
  encryption = "none"
  offers     = ["*"]
  listeners  = ["mux"]
  rule "allow" {}
}
agent "*" {
  offers    = ["*"]
  listeners = ["mux", "web"]
  rule "allow" {}
}
`

// A fleet is a server to which agents come.
type fleet struct{ *office }

func newFleet(t *testing.T, config string, environment ...string) *fleet {
	t.Helper()
	return &fleet{newOffice(t, config, environment...)}
}

// field is the same server: agents and devices have much in common.
func (f *fleet) field() *field { return &field{Server: f.Server, dir: f.dir} }

// echoOffer offers the service NAME, which echoes.
func echoOffer(t *testing.T, name string) string {
	t.Helper()
	return fmt.Sprintf("service %q {\n  address = %q\n}\n", name, startEcho(t))
}

// An agent is "jackfield agent run". Its directory is the machine that it runs on.
type agent struct {
	*live.Process
	name, state string
}

// enroll returns the token for an agent.
func (f *fleet) enroll(t *testing.T, name string, flags ...string) (token string) {
	t.Helper()
	return f.cli(t, "", append([]string{"agent", "enroll", name}, flags...)...)
}

// join makes a directory the machine of a new agent, which offers what is given in the words of its configuration.
func (f *fleet) join(t *testing.T, name, offer string, flags ...string) (state string) {
	t.Helper()
	state = filepath.Join(f.dir, name)
	f.joinBy(t, exec.Command("jackfield", joinCommand("https://"+f.Addresses["web"], state)...), f.enroll(t, name, flags...))
	writeFile(t, filepath.Join(state, "agent.hcl"), offer)
	return state
}

func joinCommand(server, state string) []string {
	return []string{"agent", "join", "--server", server, "--token-stdin", "--state", state}
}

// joinBy runs a command that takes the token, which must succeed.
func (f *fleet) joinBy(t *testing.T, cmd *exec.Cmd, token string) {
	t.Helper()
	cmd.Stdin = strings.NewReader(token)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", cmd, err, out)
	}
}

// agent enrols an agent, has it join, and runs it until the test ends.
func (f *fleet) agent(t *testing.T, name, offer string, flags ...string) *agent {
	t.Helper()
	a := runAgent(t, f.join(t, name, offer, flags...))
	f.awaitPublished(t, name, strings.Count(offer, "service \""))
	return a
}

// runAgent runs an agent that has joined, and wants it to stop in order when the test ends, unless the test has stopped it.
func runAgent(t *testing.T, state string) *agent {
	t.Helper()
	return runAgentBy(t, exec.Command("jackfield", "agent", "run", "--state", state), state)
}

func runAgentBy(t *testing.T, cmd *exec.Cmd, state string) *agent {
	t.Helper()
	p, err := live.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	a := &agent{p, filepath.Base(state), state}
	t.Cleanup(func() {
		err := p.Stop(syscall.SIGTERM)
		if exit, ok := errors.AsType[*exec.ExitError](err); ok && (!exit.Exited() || strings.Contains(p.Output(), "SIGQUIT: quit")) {
			return // the test has ended it
		}
		if err != nil {
			t.Error(err)
		}
	})
	return a
}

// offers replaces what the agent's configuration says.
func (a *agent) offers(t *testing.T, offer string) {
	t.Helper()
	writeFile(t, filepath.Join(a.state, "agent.hcl"), offer)
}

// awaitSaid waits for a line of the agent's log.
func (a *agent) awaitSaid(t *testing.T, tests ...live.Test) live.Line {
	t.Helper()
	return awaitLog(t, &live.Server{Process: a.Process}, tests...)
}

// awaitEnd waits until the agent has ended by itself, in order.
func (a *agent) awaitEnd(t *testing.T) {
	t.Helper()
	if err := a.Stop(syscall.Signal(0)); err != nil {
		t.Error(err)
	}
}

// await waits until the server knows that of an agent.
func (f *fleet) await(t *testing.T, name string, met func(*api.Agent) bool) {
	t.Helper()
	admin := f.admin(t)
	defer admin.Close() // its connection is one of the server's descriptors
	var last api.Agent
	var err error
	if !eventually(func() bool {
		last, err = admin.Agent(t.Context(), name)
		return err == nil && met(&last)
	}) {
		t.Fatalf("agent %s is %+v, %v", name, last, err)
	}
}

// awaitPublished waits until so many of the agent's services are published.
func (f *fleet) awaitPublished(t *testing.T, name string, n int) {
	t.Helper()
	f.await(t, name, func(a *api.Agent) bool {
		published := 0
		for _, s := range a.Services {
			if s.Published {
				published++
			}
		}
		return a.State == api.AgentLinked && published == n
	})
}

func (f *fleet) awaitState(t *testing.T, name string, state api.AgentState) {
	t.Helper()
	f.await(t, name, func(a *api.Agent) bool { return a.State == state })
}

// echoes wants a service to be what echoOffer offers.
func (f *fleet) echoes(t *testing.T, service string) {
	t.Helper()
	if err := f.tryEcho(service); err != nil {
		t.Errorf("%s: %v", service, err)
	}
}

func (f *fleet) tryEcho(service string) error {
	return exchange(f.Addresses["mux"], service+"\r\nhello", "+\r\nhello")
}

// refuses wants a service to be refused with that sentence, a pattern.
func (f *fleet) refuses(t *testing.T, service, sentence string) {
	t.Helper()
	c := open(t, f.Server, "mux")
	say(t, c, service+"\r\n")
	c.CloseWrite()
	answer := make([]byte, 300)
	n := 0
	for {
		read, err := c.Read(answer[n:])
		if n += read; err != nil || n == len(answer) {
			break
		}
	}
	if !regexp.MustCompile(`^-(` + sentence + `) \[`).Match(answer[:n]) {
		t.Errorf("%s is answered with %q, not %q", service, answer[:n], sentence)
	}
}

// refused runs a command that must fail, and returns what it complains of.
func (f *fleet) refused(t *testing.T, args ...string) (complaint string) {
	t.Helper()
	cmd := exec.Command("jackfield", append(args, "--socket", "data/admin.sock")...)
	cmd.Dir = f.dir
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Errorf("%s: %s", cmd, out)
	}
	return string(out)
}

// audited waits until so many lines of the audit's file pass the tests. More are wrong at once.
func (f *fleet) audited(t *testing.T, n int, tests ...live.Test) {
	t.Helper()
	read := func() []live.Line { return auditLines(t, f.dir, tests...) }
	if !eventually(func() bool { return len(read()) >= n }) || len(read()) > n {
		t.Errorf("the audit has %d such lines, not %d, but %v", len(read()), n, auditLines(t, f.dir, live.Equal("event", "close")))
	}
}

func (a *agent) descriptors(t *testing.T) int {
	t.Helper()
	return countDescriptors(t, &live.Server{Process: a.Process})
}

// ready is how many connections the server keeps for streams to come. It varies with what was used when, so what is held is compared
// without them: each is a descriptor and a goroutine, at both ends.
func (f *fleet) ready(t *testing.T, agents ...string) (n int) {
	t.Helper()
	for _, name := range agents {
		n += f.agentState(t, name).Ready
	}
	return n
}

// usual returns the number that is seen most often. Of goroutines it is not always the same: who counts them has some of his own.
func usual(look func() int) (most int) {
	seen := make(map[int]int)
	for range 15 {
		seen[look()]++
	}
	for n, times := range seen {
		if times > seen[most] {
			most = n
		}
	}
	return most
}

// settled returns a number once it stays the same.
func settled[T comparable](look func() T) T {
	last, same := look(), 0
	eventually(func() bool {
		now := look()
		if same++; now != last {
			last, same = now, 0
		}
		return same == 20
	})
	return last
}
