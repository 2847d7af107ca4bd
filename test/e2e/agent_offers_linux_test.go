package e2e

import (
	"regexp"
	"strings"
	"syscall"
	"testing"

	"jackfield/internal/api"
	"jackfield/test/live"
)

// TestAgentOffers: what an agent offers is published as far as it may be, and can be seen and reached in every way that services
// can; and it changes with the agent's configuration and the server's.
func TestAgentOffers(t *testing.T) {
	t.Parallel()
	config := strings.Replace(fleetConfig, `agent "*" {
  offers    = ["*"]`, `agent "*" {
  offers    = ["help*"]`, 1) + `
service "taken" {
  listeners = ["mux"]
  builtin   = "time"
}
service "fixed" {
  listeners = ["mux"]
  agent     = "edge"
}
service "by-address" {
  listeners = ["mux"]
  agent     = "edge"
  address   = env("echo")
}
service "not-allowed" {
  listeners = ["mux"]
  agent     = "edge"
  address   = "127.0.0.1:1"
}
`
	f := newFleet(t, config)
	echo := echoOffer(t, "x")
	offer := func(names ...string) (all string) {
		for _, name := range names {
			all += strings.Replace(echo, `"x"`, `"`+name+`"`, 1)
		}
		return all
	}
	state := f.join(t, "edge", offer("echo.lab", "taken", "forbidden", "fixed")+`allow = ["127.0.0.1:1024-65535"]`+"\n",
		"--offer", "*.lab", "--offer", "taken", "--offer", "fixed", "--offer", "more")
	edge := runAgent(t, state)
	f.awaitPublished(t, "edge", 1)

	f.echoes(t, "echo.lab")
	f.echoes(t, "fixed")
	f.echoes(t, "by-address")
	f.refuses(t, "not-allowed", "the agent does not allow that")
	f.refuses(t, "forbidden", "service not available")
	edge.awaitSaid(t, live.Equal("msg", "the server does not publish a service"), live.Equal("service", "forbidden"),
		live.Match("why", regexp.MustCompile("neither its enrolment nor the configuration")))
	shown := f.cli(t, "", "agent", "show", "edge")
	for _, want := range []string{
		`\nState +connected\n`, `\nPlatform +linux/`, `\nService +echo\.lab: published\n`, `\nService +forbidden: not published: neither `,
		`\nService +taken: not published: the configuration has a service of this name`, `\nStreams +\d+ open, 3 since`,
	} {
		if !regexp.MustCompile(want).MatchString(shown + "\n") {
			t.Errorf("agent show does not have %q:\n%s", want, shown)
		}
	}
	if listed := f.cli(t, "", "agent", "ls"); !regexp.MustCompile(`\nedge +connected +\S+ +127\.0\.0\.1:\d+ .*jackfield `).MatchString(listed) {
		t.Errorf("agent ls:\n%s", listed)
	}
	if err := exchange(f.Addresses["mux"], "help\r\n", "by-address\r\necho.lab\r\nfixed\r\nnot-allowed\r\ntaken\r\n"); err != nil {
		t.Error(err)
	}
	listed := f.caller(t, "h2", f.token(t, "ada")).expect(t, 200, "GET", "/services", "")
	if !strings.Contains(listed, `"echo.lab"`) || strings.Contains(listed, `"forbidden"`) {
		t.Errorf("the services are %s", listed)
	}
	_, out := f.caller(t, "http/1.1", f.token(t, "ada")).connectH1(t, "echo.lab:1") // CONNECT
	out.Close()

	// The agent's configuration changes, and its mistakes are told.
	edge.offers(t, offer("more", "echo.lab"))
	f.cli(t, "", "agent", "reload", "edge")
	f.awaitPublished(t, "edge", 2)
	f.echoes(t, "more")
	f.refuses(t, "fixed", "the agent offers no such service")
	edge.offers(t, "nonsense")
	if complaint := f.refused(t, "agent", "reload", "edge"); !strings.Contains(complaint, "the configuration has mistakes, which the agent's log names") {
		t.Errorf("agent reload: %s", complaint)
	}
	f.echoes(t, "more")
	edge.offers(t, offer("echo.lab"))
	syscall.Kill(edge.PID(), syscall.SIGHUP)
	f.awaitPublished(t, "edge", 1)
	f.refuses(t, "more", "service not available")

	// The server's block changes: the rules cut who is forbidden now, and listeners what is not published there any more.
	c := f.stream(t, "echo.lab")
	if out, status := reload(t, f.dir, strings.Replace(config, `"web"]`+"\n"+`  rule "allow" {}`, `"web"]`+"\n"+`  rule "deny" {}`, 1)); status != 0 {
		t.Fatal(out)
	}
	if how, err := c.readEnd(); how != "RST" {
		t.Errorf("the session ended with %q, %v", how, err)
	}
	f.refuses(t, "echo.lab", "service not available")
	if out, status := reload(t, f.dir, strings.Replace(config, `listeners = ["mux", "web"]`, `listeners = ["web"]`, 1)); status != 0 {
		t.Fatal(out)
	}
	f.refuses(t, "echo.lab", "service not available")
	if out, status := reload(t, f.dir, config); status != 0 {
		t.Fatal(out)
	}
	f.echoes(t, "echo.lab")
	if n := len(live.Select(f.Output(), live.Equal("msg", "agent connected"))); n != 1 {
		t.Errorf("the agent has connected %d times", n)
	}
}

// stream opens a service, and leaves it open.
func (f *fleet) stream(t *testing.T, service string) *client {
	t.Helper()
	c := open(t, f.Server, "mux")
	say(t, c, service+"\r\nhello")
	expect(t, c, "+\r\nhello")
	return c
}

// TestAgentLife: an agent that comes again takes its name over at once; drained, it lets its streams end, and then ends; and with
// another name it comes again by itself.
func TestAgentLife(t *testing.T) {
	t.Parallel()
	f := newFleet(t, fleetConfig)
	offer := echoOffer(t, "echo") + "drain_timeout = \"5m\"\n"
	first := f.agent(t, "edge", offer)
	c := f.stream(t, "echo")
	syscall.Kill(first.PID(), syscall.SIGSTOP) // its machine is gone, and nobody knows yet
	second := runAgent(t, first.state)
	second.awaitSaid(t, live.Equal("msg", "linked"))
	if how, err := c.readEnd(); how != "RST" {
		t.Errorf("the session ended with %q, %v", how, err)
	}
	first.Stop(syscall.SIGKILL)
	f.awaitPublished(t, "edge", 1)
	f.echoes(t, "echo")
	f.audited(t, 1, live.Equal("event", "close"), live.Equal("route", "agent edge"), live.Equal("service", ""), live.Equal("end", "the agent has connected anew"))

	// Another agent may not take the service's name.
	other := runAgent(t, f.join(t, "other", offer))
	other.awaitSaid(t, live.Equal("msg", "the server does not publish a service"), live.Match("why", regexp.MustCompile("agent edge offers")))
	f.echoes(t, "echo")

	// It has it as soon as it is free, and gives it back.
	f.cli(t, "", "agent", "rename", "edge", "roof")
	f.awaitPublished(t, "other", 1)
	f.echoes(t, "echo")
	if err := other.Stop(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	f.awaitPublished(t, "roof", 1)
	f.echoes(t, "echo")
	if complaint := f.refused(t, "agent", "show", "edge"); !strings.Contains(complaint, "there is no such agent") {
		t.Errorf("agent show: %s", complaint)
	}
	if listed := f.cli(t, "", "agent", "ls"); strings.Contains(listed, "edge") {
		t.Errorf("agent ls:\n%s", listed)
	}

	c = f.stream(t, "echo")
	f.cli(t, "", "agent", "drain", "roof", "--reason", "a new version")
	second.awaitSaid(t, live.Match("reason", regexp.MustCompile("a new version")))
	f.awaitState(t, "roof", api.AgentDraining)
	f.refuses(t, "echo", "the agent is about to end, try again later|service not available")
	say(t, c, "still here")
	expect(t, c, "still here")
	c.CloseWrite()
	expectEnd(t, c, "FIN")
	second.awaitEnd(t)
	f.awaitState(t, "roof", api.AgentAway)

	third := runAgent(t, first.state)
	f.await(t, "roof", func(a *api.Agent) bool { return a.State == api.AgentLinked })
	if third.Stop(syscall.SIGTERM) != nil {
		t.Error("the agent did not stop in order")
	}
	f.awaitState(t, "roof", api.AgentAway)
}
