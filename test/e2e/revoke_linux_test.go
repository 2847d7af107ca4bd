package e2e

import (
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"jackfield/test/live"
)

// revocationLimit is how long after a revocation whoever lost a right may still use it.
const revocationLimit = time.Second

// TestRevocation: who is revoked or removed follows no events any more, which the stream says, and is refused from then on. The
// audit tells both.
func TestRevocation(t *testing.T) {
	o := newOffice(t, officeConfig)
	bystander := o.caller(t, "h2", o.token(t, "bystander")).follow(t, "bystander", "")
	o.cli(t, "", "backup", "early.backup")
	var took []time.Duration
	for _, test := range []struct {
		name, user string
		revoke     func(id string) []string // the command; the id is of the token or the certificate
		path       string                   // of the call that the command makes
		method     string
		reason     string // a pattern: of the stream's end
	}{
		{"token revoked", "tess", func(id string) []string { return []string{"token", "rm", id} },
			"/api/v1/tokens/{id}", http.MethodDelete, "revoked"},
		{"user removed", "rita", func(string) []string { return []string{"user", "rm", "rita"} },
			"/api/v1/users/{name}", http.MethodDelete, "removed"},
		{"user disabled", "dora", func(string) []string { return []string{"user", "change", "dora", "--disabled"} },
			"/api/v1/users/{name}", http.MethodPatch, "disabled"},
		{"certificate revoked", "cora", func(id string) []string { return []string{"certificate", "revoke", id} },
			"/api/v1/certificates/{serial}", http.MethodDelete, "revoked"},
		{"user with a certificate removed", "cleo", func(string) []string { return []string{"user", "rm", "cleo"} },
			"/api/v1/users/{name}", http.MethodDelete, "removed"},
		{"earlier backup restored", "bert", func(string) []string { return []string{"restore", "early.backup", "--yes"} },
			"/api/v1/restore", http.MethodPost, "removed|revoked"},
	} {
		t.Run(test.name, func(t *testing.T) {
			callers, id := o.callersOf(t, test.user, strings.Contains(test.name, "certificate"))
			var followers []*follower
			for _, c := range callers {
				followers = append(followers, c.follow(t, test.user, ""))
			}
			o.cli(t, "", test.revoke(id)...)
			done := time.Now()
			for i, c := range callers {
				if !eventually(func() bool { return c.isRefused(t) }) {
					t.Errorf("over %s calls are still answered", c.protocol)
				}
				expectPromptly(t, "calls are refused over "+c.protocol, time.Now(), done, revocationLimit)
				last := followers[i].awaitEnd(t)
				expectPromptly(t, "the stream's end over "+c.protocol, last.at, done, revocationLimit)
				if !regexp.MustCompile(test.reason).MatchString(last.Reason) {
					t.Errorf("over %s the stream ended because %q, not %q", c.protocol, last.Reason, test.reason)
				}
				took = append(took, last.at.Sub(done))
				t.Logf("over %s the stream ended %v after the command: %s", c.protocol, last.at.Sub(done), last.Reason)
			}
			o.expectRecords(t, len(callers), live.Equal("path", "/api/v1/events"), live.Equal("user", test.user),
				live.Match("end", regexp.MustCompile(test.reason)))
			o.expectRecords(t, 1, live.Equal("path", test.path), live.Equal("method", test.method),
				live.Match("target", regexp.MustCompile("^$| ("+test.user+"|"+id+")$")), live.Match("status", regexp.MustCompile("^20[04]$")))
			if e, ended := drain(bystander); ended {
				t.Errorf("somebody else's stream ended with %+v", e)
			}
		})
	}

	expectMost(t, "the ends of streams", took, revocationLimit)

	// Who is enabled again, is known by the same token.
	callers, _ := o.callersOf(t, "edna", false)
	o.cli(t, "", "user", "change", "edna", "--disabled")
	callers[0].expect(t, http.StatusUnauthorized, http.MethodGet, "/me", "")
	o.cli(t, "", "user", "change", "edna", "--disabled=false")
	callers[0].expect(t, http.StatusOK, http.MethodGet, "/me", "")
}

// callersOf returns callers who are the user by one token or certificate, of which this is the id, over each protocol.
func (o *office) callersOf(t *testing.T, user string, byCertificate bool) (callers []*caller, id string) {
	t.Helper()
	grant := o.grant(t, user)
	for _, protocol := range webProtocols {
		callers = append(callers, o.caller(t, protocol, grant.Secret))
	}
	if !byCertificate {
		return callers, grant.ID
	}
	pair, serial := o.certificate(t, "user", user, user)
	for i, protocol := range webProtocols {
		callers[i] = o.caller(t, protocol, "", pair)
	}
	return callers, serial
}

// drain takes what has come, and says whether the stream has ended.
func drain(f *follower) (last event, ended bool) {
	for {
		select {
		case e, more := <-f.events:
			if !more {
				return last, true
			}
			last = e
		default:
			return last, false
		}
	}
}

// TestCutOnReload: an address rule that changes cuts the sessions that it forbids, of every protocol, and no other.
func TestCutOnReload(t *testing.T) {
	config := "cut_on_reload = true\n" + officeConfig
	o := newOffice(t, config)
	var stay []*client
	type ending struct {
		how string
		err error
		at  time.Time
	}
	ends := map[string]chan ending{"mux": make(chan ending, 1), "port": make(chan ending, 1)} // by listener
	for listener, end := range ends {
		stay = append(stay, o.sessionFrom(t, listener, "127.0.0.1"))
		forbidden := o.sessionFrom(t, listener, "127.0.0.2")
		go func() {
			how, err := forbidden.readEnd()
			end <- ending{how, err, time.Now()}
		}()
	}
	out, status := reload(t, o.dir, config+"rule \"deny\" {\n  from = [\"127.0.0.2\"]\n}\nrule \"allow\" {}\n")
	done := time.Now()
	if status != 0 || !strings.Contains(out, "2 sessions") {
		t.Errorf("reload: exit status %d: %s", status, out)
	}
	for listener, end := range ends {
		e := <-end
		if e.how != "RST" {
			t.Errorf("the session by %s ended with %q, %v", listener, e.how, e.err)
		}
		expectPromptly(t, "the session by "+listener+" is cut", e.at, done, revocationLimit)
		t.Logf("the session by %s was cut %v after the reload", listener, e.at.Sub(done))
		o.expectRecords(t, 1, live.Equal("event", "close"), live.Equal("listener", listener),
			live.Match("source", regexp.MustCompile(`^127\.0\.0\.2:`)), live.Match("end", regexp.MustCompile("forbid")))
	}
	for _, c := range stay {
		say(t, c, "again")
		expect(t, c, "again")
	}
	o.expectRecords(t, 2, live.Equal("event", "close"))
	if err := exchange(o.Addresses["mux"], "echo\r\nnew", "+\r\nnew"); err != nil {
		t.Error(err)
	}
}

// sessionFrom opens a session of the service "echo" from an address.
func (o *office) sessionFrom(t *testing.T, listener, source string) *client {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
	conn, err := dialer.DialContext(t.Context(), "tcp", o.Addresses[listener])
	if err != nil {
		t.Fatal(err)
	}
	c := &client{TCPConn: conn.(*net.TCPConn)}
	t.Cleanup(c.close)
	c.SetDeadline(time.Now().Add(live.Patience))
	greeting := ""
	if listener == "mux" {
		say(t, c, "echo\r\n")
		greeting = "+\r\n"
	}
	say(t, c, "hello")
	expect(t, c, greeting+"hello")
	return c
}
