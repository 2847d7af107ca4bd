package e2e

import (
	"context"
	"errors"
	"io"
	"net"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"jackfield/internal/api"
	"jackfield/test/live"
)

// TestAgentKilled: an agent that is killed is gone at once, with the names of its services, and is back when it is started again.
// After that the server is killed and started again: the agent comes by itself. Neither holds more than before.
func TestAgentKilled(t *testing.T) {
	t.Parallel()
	config := regexp.MustCompile(`(listener "web" \{[^}]*127\.0\.0\.1:)0`).ReplaceAllString(fleetConfig, "${1}"+freePort(t))
	dir := t.TempDir()
	writeConfig(t, dir, config)
	start := func() *fleet {
		s, err := live.Serve(dir, "jackfield.hcl")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Stop(syscall.SIGKILL) })
		return &fleet{enter(t, s, dir)}
	}
	f := start()
	ends := make(chan error, 1)
	told, stop, err := startBackend(func(_ context.Context, conn *net.TCPConn) {
		_, err := io.Copy(conn, conn)
		ends <- err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	edge := f.agent(t, "edge", echoOffer(t, "echo"))
	witness := f.agent(t, "witness", echoOffer(t, "other")+"service \"told\" {\n  address = \""+told+"\"\n}\n") // lives through it all
	f.echoes(t, "echo")
	f.echoes(t, "other")
	descriptors := func() int { return countDescriptors(t, f.Server) - f.ready(t, "edge", "witness") }
	goroutines := func() int { return int(f.field().metric(t, "go_goroutines")) - f.ready(t, "edge", "witness") }
	ofWitness := func() int { return witness.descriptors(t) - f.ready(t, "witness") }
	before, held, running := settled(descriptors), settled(ofWitness), usual(goroutines)

	c := f.stream(t, "echo")
	edge.Stop(syscall.SIGKILL)
	if how, err := c.readEnd(); how != "RST" {
		t.Errorf("the session ended with %q, %v", how, err)
	}
	f.awaitState(t, "edge", api.AgentAway)
	f.refuses(t, "echo", "service not available")
	if err := exchange(f.Addresses["mux"], "help\r\n", "other\r\ntold\r\n"); err != nil {
		t.Error(err)
	}
	runAgent(t, edge.state)
	started := time.Now()
	f.await(t, "edge", func(a *api.Agent) bool { return a.State == api.AgentLinked })
	f.awaitEcho(t, "echo", started)
	if !eventually(func() bool { return descriptors() <= before && goroutines() <= running }) {
		t.Errorf("the server held %d descriptors and %d goroutines, now %d and %d", before, running, descriptors(), goroutines())
	}

	c = f.stream(t, "told")
	f.Stop(syscall.SIGKILL)
	if how, err := c.readEnd(); how == "" {
		t.Error(err)
	}
	if err := <-ends; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a service whose client's server is gone sees %v", err)
	}
	witness.awaitSaid(t, live.Equal("msg", "no link to the server"))
	f = start()
	started = time.Now()
	f.awaitEcho(t, "echo", started)
	f.await(t, "witness", func(a *api.Agent) bool { return a.State == api.AgentLinked })
	f.awaitEcho(t, "other", started)
	f.audited(t, 2, live.Equal("event", "close"), live.Equal("end", "lost"), live.Match("route", regexp.MustCompile("^agent (edge|witness)$")),
		live.Equal("service", ""))
	if !eventually(func() bool { return ofWitness() <= held }) {
		t.Errorf("the agent held %d descriptors, now %d", held, ofWitness())
	}
	fresh := runAgentBy(t, exec.Command("jackfield", "agent", "run", "--state", f.join(t, "fresh", echoOffer(t, "third"))), "fresh")
	f.awaitPublished(t, "fresh", 1)
	f.echoes(t, "third")
	idle := func(name string) int {
		f.await(t, name, func(a *api.Agent) bool { return a.Streams == 0 })
		return settled(func() int { return f.ready(t, name) })
	}
	ready, readyFresh := idle("witness"), idle("fresh")
	if lived, began := witness.goroutines(t)-ready, fresh.goroutines(t)-readyFresh; lived > began {
		t.Errorf("an agent that lived through it has %d goroutines, one that has just come %d:\n%s", lived, began, witness.Output())
	}
}

// awaitEcho waits until a service is reached, which must be soon.
func (f *fleet) awaitEcho(t *testing.T, service string, since time.Time) {
	t.Helper()
	var err error
	if !eventually(func() bool { err = f.tryEcho(service); return err == nil }) {
		t.Fatalf("%s: %v", service, err)
	}
	expectSoon(t, service+" is back", time.Now(), since, backAgain)
}

var goroutineHead = regexp.MustCompile(`(?m)^goroutine [1-9]\d* .*:$`)

// goroutines ends the agent, and returns how many goroutines it had. Those of Go's runtime come and go, and do not count.
func (a *agent) goroutines(t *testing.T) (n int) {
	t.Helper()
	a.Stop(syscall.SIGQUIT) // which is no good end
	for stack := range strings.SplitSeq(a.Output(), "\n\n") {
		if goroutineHead.MatchString(stack) && !strings.Contains(stack, "\ncreated by runtime.") {
			n++
		}
	}
	if n == 0 {
		t.Fatalf("the agent does not tell of its goroutines:\n%s", a.Output())
	}
	return n
}
