package e2e

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"

	domain "jackfield"
	agents "jackfield/bench/fleet"
	"jackfield/internal/agentd"
	"jackfield/internal/agentd/membership"
	"jackfield/internal/api"
	"jackfield/internal/route/dial"
	"jackfield/test/live"
)

// How soon after a server serves again all of its agents are linked, and how long anybody else waits meanwhile.
const (
	allBackAgain = time.Minute
	servedWithin = 10 * time.Second
)

// TestAgentsReturn: a server with many agents, all behind one address, is killed. When it serves again, all are linked within a
// minute, each with its service. Meanwhile others are served as ever: a session that is open, one that begins, and a call of the API
// over HTTPS, which shakes hands at the port where the agents do.
func TestAgentsReturn(t *testing.T) {
	t.Parallel()
	s := newSwarm(t, live.Times(60, 1000))
	s.awaitLinked(t)
	held := func() int { return countDescriptors(t, s.Server) - s.readyOnes(t) }
	before := settled(held)
	token := s.token(t, "ada")

	s.Stop(syscall.SIGKILL)
	s.serve(t)
	begun := time.Now()
	o := s.outsider(t, token)
	var last time.Time
	o.during(t, func() { last = s.awaitLinked(t) })
	t.Logf("%d agents are back after %v, %v handshakes were refused; others were served %d times, the slowest after %v",
		len(s.names), last.Sub(begun), (&site{s.office}).refusals(t, "web", "source"), o.served, o.slowest)
	expectSoon(t, "all agents are back", last, begun, allBackAgain)
	expectPromptly(t, "others are served", begun.Add(o.slowest), begun, servedWithin)
	o.session.Close()
	if !eventually(func() bool { return held() <= before }) {
		t.Errorf("the server held %d descriptors, now %d", before, held())
	}
	for _, name := range s.names {
		s.echoes(t, agents.Service(name))
	}
}

// A swarm is a fleet whose agents are all in this process, so that there can be many.
type swarm struct {
	*fleet
	names []string
}

// newSwarm starts a server, and runs so many agents of it until the test ends, each of which offers an echo.
func newSwarm(t *testing.T, n int) *swarm {
	t.Helper()
	dir := memoryDir(t)
	writeConfig(t, dir, regexp.MustCompile(`(listener "web" \{[^}]*127\.0\.0\.1:)0`).ReplaceAllString(fleetConfig, "${1}"+freePort(t))+`
service "echo" {
  listeners = ["mux"]
  builtin   = "echo"
}
`)
	s := &swarm{fleet: &fleet{&office{dir: dir}}}
	for k := range n {
		s.names = append(s.names, agents.Name(k))
	}
	s.serve(t)
	dirs, err := agents.Join(t.Context(), s.admin(t), s.Addresses["web"], dir, s.names)
	if err != nil {
		t.Fatal(err)
	}
	echo, err := dial.New(dial.Options{Addresses: []string{startEcho(t)}})
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		s.run(t, dir, echo)
	}
	return s
}

// memoryDir is a directory in memory, if there can be one: the store waits for the disk several times for each agent that joins.
func memoryDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "jackfield-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// serve starts the server, again where it was killed.
func (s *swarm) serve(t *testing.T) {
	t.Helper()
	server, err := live.Serve(s.dir, "jackfield.hcl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Stop(syscall.SIGKILL) })
	s.office = enter(t, server, s.dir)
}

// run runs the agent that has joined in a directory.
func (s *swarm) run(t *testing.T, dir string, service domain.Route) {
	t.Helper()
	m, err := membership.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	a := agentd.New(agentd.Options{Version: "swarm", Log: slog.New(slog.DiscardHandler)}, agentd.Offer{
		Services: []agentd.Service{{Name: domain.Name(agents.Service(m.Name())), Route: service}},
	})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { a.Dial(ctx, agentd.Server{Address: m.Address(), TLS: m.TLS}, ctx.Done()) })
	t.Cleanup(func() { stop(); running.Wait() })
}

// awaitLinked waits until each agent is linked and its service published, and returns when that was seen.
func (s *swarm) awaitLinked(t *testing.T) time.Time {
	t.Helper()
	admin := s.admin(t)
	defer admin.Close() // its connection is one of the server's descriptors
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for limit := time.Now().Add(allBackAgain + live.Patience); ; <-tick.C {
		all, err := admin.Agents(t.Context())
		now, linked := time.Now(), 0
		for _, a := range all {
			if a.State == api.AgentLinked && len(a.Services) == 1 && a.Services[0].Published {
				linked++
			}
		}
		switch {
		case err == nil && linked == len(s.names):
			return now
		case now.After(limit):
			t.Fatalf("%d of %d agents are linked, %v", linked, len(s.names), err)
		}
	}
}

// readyOnes is how many connections the server keeps for streams of all agents, see ready.
func (s *swarm) readyOnes(t *testing.T) (n int) {
	t.Helper()
	admin := s.admin(t)
	defer admin.Close() // its connection is one of the server's descriptors
	all, err := admin.Agents(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		n += a.Ready
	}
	return n
}

// An outsider has nothing to do with the agents, and comes from elsewhere.
type outsider struct {
	mux     string
	session *client // of the echo
	me      *http.Request
	http    *http.Client // a connection for each call
	served  int
	slowest time.Duration
}

func (s *swarm) outsider(t *testing.T, token string) *outsider {
	t.Helper()
	site := &site{s.office}
	o := &outsider{mux: s.Addresses["mux"], session: open(t, s.Server, "mux"), http: site.client(t, hostile)}
	say(t, o.session, "echo\r\n")
	expect(t, o.session, "+\r\n")
	var err error
	if o.me, err = http.NewRequestWithContext(t.Context(), http.MethodGet, site.url("web", "/me"), nil); err != nil {
		t.Fatal(err)
	}
	o.me.Header.Set("Authorization", "Bearer "+token)
	o.me.Close = true
	return o
}

// try wants everything to work.
func (o *outsider) try() error {
	o.session.SetDeadline(time.Now().Add(live.Patience))
	if _, err := io.WriteString(o.session, "hello"); err != nil {
		return err
	}
	if err := o.session.read("hello"); err != nil {
		return err
	}
	if err := exchange(o.mux, "echo\r\nhello", "+\r\nhello"); err != nil {
		return err
	}
	answer, err := o.http.Do(o.me)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("GET /me: %s", answer.Status)
	}
	return nil
}

// during has the outsider come again and again while something happens.
func (o *outsider) during(t *testing.T, happens func()) {
	t.Helper()
	over := make(chan struct{})
	var coming sync.WaitGroup
	coming.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			begun := time.Now()
			if err := o.try(); err != nil {
				t.Errorf("others are not served: %v", err)
				return
			}
			o.served++
			o.slowest = max(o.slowest, time.Since(begun))
			select {
			case <-over:
				return
			case <-tick.C:
			}
		}
	})
	defer coming.Wait()
	defer close(over)
	happens()
}
