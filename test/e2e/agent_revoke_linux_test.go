package e2e

import (
	"crypto/tls"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"jackfield/internal/agentd/membership"
	"jackfield/test/live"
)

// TestAgentRemoved: an agent that is removed has neither link nor streams any more, within a second; its certificate opens nothing,
// not by a TLS session from before either; and its log says what to do.
func TestAgentRemoved(t *testing.T) {
	t.Parallel()
	f := newFleet(t, fleetConfig)
	bystander := f.agent(t, "bystander", echoOffer(t, "other"))
	edge := f.agent(t, "edge", echoOffer(t, "echo"))
	kept := f.stream(t, "other")
	spare := f.join(t, "spare", "")
	var sessions []*tlsSession
	for _, protocol := range []string{"jackfield-agent/1", "jackfield-data/1"} {
		s := newTLSSession(t, spare, protocol)
		for _, resume := range []bool{false, true} {
			if err := s.dial(t, resume); err != nil {
				t.Fatal(err)
			}
		}
		sessions = append(sessions, s)
	}
	c := f.stream(t, "echo")
	f.cli(t, "", "agent", "rm", "edge", "spare")
	done := time.Now()
	if how, err := c.readEnd(); how != "RST" {
		t.Errorf("the session ended with %q, %v", how, err)
	}
	expectPromptly(t, "the session's end", time.Now(), done, revocationLimit)
	f.refuses(t, "echo", "service not available")
	f.audited(t, 1, live.Equal("event", "close"), live.Equal("route", "agent edge"), live.Equal("service", ""),
		live.Match("end", regexp.MustCompile("removed|revoked")))
	f.audited(t, 1, live.Equal("event", "close"), live.Equal("service", "echo"), live.Match("end", regexp.MustCompile("removed|revoked")))
	f.audited(t, 1, live.Equal("event", "call"), live.Equal("method", "DELETE"), live.Equal("target", "agent edge"),
		live.Equal("status", "204"))
	for _, s := range sessions {
		if err := s.dial(t, true); err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("a session from before is resumed for %s: %v", s.protocol, err)
		}
	}
	edge.awaitSaid(t, live.Equal("msg", "no link to the server"), live.Match("error", regexp.MustCompile("removed or revoked; enrol the agent again")))
	say(t, kept, "still here")
	expect(t, kept, "still here")
	if listed := f.cli(t, "", "agent", "ls"); strings.Contains(listed, "edge") || !strings.Contains(listed, "\nbystander ") {
		t.Errorf("agent ls:\n%s", listed)
	}
	if n := len(live.Select(bystander.Output(), live.Equal("msg", "linked"))); n != 1 {
		t.Errorf("the bystander had %d links", n)
	}
}

// A tlsSession is one of an agent that has joined, and that a test plays.
type tlsSession struct {
	member   *membership.Membership
	protocol string
	cache    tls.ClientSessionCache
}

func newTLSSession(t *testing.T, state, protocol string) *tlsSession {
	t.Helper()
	member, err := membership.Load(state)
	if err != nil {
		t.Fatal(err)
	}
	return &tlsSession{member, protocol, tls.NewLRUClientSessionCache(0)}
}

// dial connects and sees whether the server goes on: on a link it speaks first, on a data connection it waits.
func (s *tlsSession) dial(t *testing.T, resume bool) error {
	t.Helper()
	config := s.member.TLS(s.protocol)
	config.ClientSessionCache = s.cache
	conn, err := tls.Dial("tcp", s.member.Address(), config)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(live.Patience))
	if s.protocol == "jackfield-data/1" {
		conn.CloseWrite() // is answered by the end
		_, err = io.Copy(io.Discard, conn)
	} else {
		_, err = io.ReadFull(conn, make([]byte, 24))
	}
	if err == nil && conn.ConnectionState().DidResume != resume {
		t.Errorf("%s: resumed: %v", s.protocol, !resume)
	}
	return err
}

// TestAgentJoins: of several machines that join with one token at once, one is the agent.
func TestAgentJoins(t *testing.T) {
	t.Parallel()
	f := newFleet(t, fleetConfig)
	token := f.enroll(t, "edge")
	type result struct {
		state, said string
		err         error
	}
	results := make(chan result)
	var joining sync.WaitGroup
	for _, machine := range []string{"m1", "m2", "m3", "m4"} {
		joining.Go(func() {
			state := filepath.Join(f.dir, machine)
			cmd := exec.Command("jackfield", joinCommand("https://"+f.Addresses["web"], state)...)
			cmd.Stdin = strings.NewReader(token)
			said, err := cmd.CombinedOutput()
			results <- result{state, string(said), err}
		})
	}
	go func() {
		joining.Wait()
		close(results)
	}()
	var won []string
	for r := range results {
		if r.err == nil {
			won = append(won, r.state)
		} else if !strings.Contains(r.said, "the token is not good, or not any more: ask for another one") {
			t.Errorf("a machine that was too late is told: %s", r.said)
		}
	}
	if len(won) != 1 {
		t.Fatalf("%d machines have joined", len(won))
	}
	runAgent(t, won[0])
	f.awaitState(t, "edge", "connected")
	f.audited(t, 1, live.Equal("event", "call"), live.Equal("path", "/api/v1/agents/join"), live.Equal("status", "201"))
	f.audited(t, 3, live.Equal("event", "call"), live.Equal("path", "/api/v1/agents/join"), live.Equal("status", "401"))
}
