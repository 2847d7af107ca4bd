//go:build unix

package mapper

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"jackfield"
	"jackfield/wire/mapper"
)

func TestEntries(t *testing.T) {
	m := start(t, "echo")
	asked := request(func(r *jackfield.Request) {
		r.Service = "console.fpga-1"
		r.Route = "dial 10.0.0.1:80, unix:/run/x.sock"
		r.Destinations = []string{"10.0.0.1:80", "[2001:db8::1]:81", "unix:/run/x.sock"}
		r.Identity = jackfield.Identity{User: "root", Groups: []string{"lab", "a=b:c"}, Proof: jackfield.ProofToken}
	})
	const want = "user=0:root addr-ip=192.0.2.7 service=console.fpga-1 station=fpga-1 listener=mux protocol=tcpmux route=dial " +
		"destination-address=10.0.0.1 destination-port=80 destination-address=2001:db8::1 destination-port=81 " +
		"destination-address=unix:/run/x.sock group=lab group=a=b:c proof=token session=inst-7"
	if d := m.Decide(t.Context(), asked); d.Terms.Note != want {
		t.Errorf("sent\n%s, want\n%s (%s)", d.Terms.Note, want, d.Reason)
	}
}

func TestUserEntry(t *testing.T) {
	if got := userEntry(""); got != "65534:nobody" {
		t.Errorf("nobody is %s", got)
	}
	if got := userEntry("root"); got != "0:root" {
		t.Errorf("root is %s", got)
	}
	const unknown = "no.such.user@EXAMPLE.COM"
	got := userEntry(unknown)
	number, name, _ := strings.Cut(got, ":")
	if name != unknown || len(number) < 6 || got != userEntry(unknown) {
		t.Errorf("an unknown user is %s", got)
	}
	for _, other := range []string{"a", "b", "", "\x00", unknown + "x"} {
		if id := stableID(other); id < firstID || id > lastID {
			t.Errorf("%q has number %d", other, id)
		}
	}
}

// What cannot stand on a line is not sent, and denies.
func TestUnsendable(t *testing.T) {
	m := start(t, "echo")
	for _, bad := range []string{"a\nsuccess:", "a\rb", "a\x00b", strings.Repeat("x", 10_000)} {
		asked := request(func(r *jackfield.Request) { r.Identity.User = bad })
		if d := m.Decide(t.Context(), asked); d.Allow || !strings.Contains(d.Reason, "cannot be sent") {
			t.Errorf("%.20q: %+v", bad, d)
		}
	}
	for _, fine := range []string{"a=b", "a:b", "user=1:root"} {
		asked := request(func(r *jackfield.Request) { r.Identity.User = fine })
		if d := m.Decide(t.Context(), asked); !strings.Contains(d.Terms.Note, ":"+fine+" ") {
			t.Errorf("%q: %+v", fine, d)
		}
	}
}

// names is a resolver.
type names map[string]string

func (n names) LookupAddr(_ context.Context, address string) ([]string, error) {
	return []string{n[address]}, nil
}

func (n names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr(n[host])}, nil
}

func TestFQDN(t *testing.T) {
	m := start(t, "echo", func(o *Options) { o.Resolve = true })
	for claimed, there := range map[string]bool{"192.0.2.7": true, "192.0.2.8": false} {
		m.resolver = names{"192.0.2.7": "abc.example.com.", "abc.example.com": claimed}
		if d := m.Decide(t.Context(), request()); strings.Contains(d.Terms.Note, "addr-fqdn=abc.example.com") != there {
			t.Errorf("a name of %s: sent %s", claimed, d.Terms.Note)
		}
	}
}

func TestReturnedEntries(t *testing.T) {
	all := []string{"max-seconds", "idle-seconds", "audit-note"}
	for name, test := range map[string]struct {
		returns string
		accept  []string
		max     int
		allow   bool
		terms   jackfield.Terms
	}{
		"max-seconds":               {"max-seconds=90", all, 0, true, jackfield.Terms{MaxDuration: 90 * time.Second}},
		"idle-seconds":              {"idle-seconds=5", all, 0, true, jackfield.Terms{IdleTimeout: 5 * time.Second}},
		"audit-note":                {"audit-note=ticket 42", all, 0, true, jackfield.Terms{Note: "ticket 42"}},
		"not accepted":              {"max-seconds=90", nil, 0, true, jackfield.Terms{}},
		"bad but not accepted":      {"max-seconds=soon", nil, 0, true, jackfield.Terms{}},
		"no number":                 {"max-seconds=soon", all, 0, false, jackfield.Terms{}},
		"zero":                      {"max-seconds=0", all, 0, false, jackfield.Terms{}},
		"negative":                  {"idle-seconds=-1", all, 0, false, jackfield.Terms{}},
		"too many seconds":          {"idle-seconds=9223372036854775807", all, 0, false, jackfield.Terms{}},
		"below the maximum":         {"number-of-connections=41", nil, 42, true, jackfield.Terms{}},
		"the maximum":               {"number-of-connections=42", nil, 42, false, jackfield.Terms{}},
		"no count":                  {"other=1", nil, 42, false, jackfield.Terms{}},
		"a bad count":               {"number-of-connections=-1", nil, 42, false, jackfield.Terms{}},
		"a count nobody asked for":  {"number-of-connections=42", all, 0, true, jackfield.Terms{}},
		"an entry that is not ours": {"uid=0", all, 0, true, jackfield.Terms{}},
	} {
		t.Run(name, func(t *testing.T) {
			m := start(t, "returns", func(o *Options) {
				o.Env["RETURNS"], o.Accept, o.MaxConnections = test.returns, test.accept, test.max
			})
			d := m.Decide(t.Context(), request())
			if d.Allow != test.allow || d.Allow && d.Terms != test.terms {
				t.Errorf("got %+v", d)
			}
		})
	}
}

// A program's words are cleaned, and reach the client only where that is wanted.
func TestReason(t *testing.T) {
	for _, show := range []bool{false, true} {
		m := start(t, "complains", func(o *Options) { o.ShowReason = show })
		d := m.Decide(t.Context(), request())
		if d.Allow || !strings.HasPrefix(d.Reason, "[31mgo away\uFFFDyyy") || !utf8.ValidString(d.Reason) {
			t.Errorf("reason %q", d.Reason)
		}
		if (d.Message != "") != show || len(d.Message) > maxMessage+len("…")+2 {
			t.Errorf("show_reason %v: message %q", show, d.Message)
		}
		eventually(t, "the program's complaint", func() bool { return strings.Contains(m.log.String(), "database is slow") })
	}
}

func TestCache(t *testing.T) {
	m := start(t, "pid", func(o *Options) { o.Cache = time.Hour })
	ask := func(change ...func(*jackfield.Request)) string {
		return m.Decide(t.Context(), request(change...)).Terms.Note
	}
	first := ask()
	if again := ask(func(r *jackfield.Request) { r.ID, r.Source = "inst-8", netip.MustParseAddrPort("192.0.2.7:9") }); again != first {
		t.Error("the same question was asked again")
	}
	for what, change := range map[string]func(*jackfield.Request){
		"address": func(r *jackfield.Request) { r.Source = netip.MustParseAddrPort("192.0.2.8:4711") },
		"user":    func(r *jackfield.Request) { r.Identity.User = "ann" },
		"groups":  func(r *jackfield.Request) { r.Identity.Groups = []string{"lab"} },
		"service": func(r *jackfield.Request) { r.Service = "ssh" },
		"proof":   func(r *jackfield.Request) { r.Identity.Proof = jackfield.ProofToken },
	} {
		if other := ask(change); other == first || other == "" {
			t.Errorf("another %s got the answer %q that was kept", what, other)
		}
	}
}

func TestFailureIsNotKept(t *testing.T) {
	m := start(t, "exit 1", func(o *Options) { o.Cache = time.Hour })
	m.Decide(t.Context(), request())
	if n := len(m.answers.young); n != 0 {
		t.Errorf("%d answers are kept", n)
	}
}

func answerOf(success bool) mapper.Answer {
	return mapper.Answer{Response: mapper.Response{Success: success}}
}

func TestCacheForgets(t *testing.T) {
	c, now := newCache(time.Minute), time.Now()
	for i := range 3 * maxCached {
		c.put(strings.Repeat("x", i%7)+time.Duration(i).String(), answerOf(true), now)
	}
	if n := len(c.young) + len(c.old); n > maxCached {
		t.Errorf("%d answers are kept", n)
	}
	c.put("k", answerOf(true), now)
	if _, ok := c.get("k", now.Add(time.Minute-1)); !ok {
		t.Error("forgotten too early")
	}
	if _, ok := c.get("k", now.Add(time.Minute)); ok {
		t.Error("kept too long")
	}
}
