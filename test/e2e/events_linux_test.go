package e2e

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"jackfield/internal/api"
	"jackfield/internal/identity"
	"jackfield/test/live"
	"jackfield/wire/mihini"
)

// eventLimit is how long after a change those who follow may learn of it.
const eventLimit = 200 * time.Millisecond

// An event is one server-sent event as it came.
type event struct {
	id, name string
	api.Event
	Reason string // of "end" and "reset"
	at     time.Time
}

// A follower reads server-sent events (the HTML standard, section 9.2) until their stream ends.
type follower struct {
	who    string
	caller *caller
	last   string     // the id of the last event that was taken
	events chan event // closed at the end of the stream
	err    error      // of the stream, once events is closed; nil: it ended in order

	comments atomic.Int64
}

// follow returns once the stream has begun.
func (c *caller) follow(t *testing.T, who, lastID string) *follower {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	response, err := c.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK || !strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream") ||
		(response.ProtoMajor == 2) != (c.protocol == "h2") {
		t.Fatalf("events over %s: %s over %s", c.protocol, response.Status, response.Proto)
	}
	f := &follower{who: who + " over " + c.protocol, caller: c, last: lastID, events: make(chan event, 4096)}
	go func() {
		defer close(f.events)
		f.err = f.read(response.Body)
	}()
	t.Cleanup(func() {
		cancel()
		response.Body.Close()
		for range f.events {
		}
	})
	return f
}

func (f *follower) read(from io.Reader) error {
	lines := bufio.NewScanner(from)
	var e event
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ": ")
		switch field {
		case "":
			if value != "" {
				f.comments.Add(1)
			}
		case "id":
			e.id = value
		case "event":
			e.name = value
		case "data":
			e.at = time.Now()
			if err := json.Unmarshal([]byte(value), &e.Event); err != nil {
				return err
			}
			var end api.StreamEnd
			if err := json.Unmarshal([]byte(value), &end); err != nil {
				return err
			}
			e.Reason = end.Reason
			f.events <- e
			e = event{}
		}
	}
	return lines.Err()
}

// next returns the next event; false at the stream's end.
func (f *follower) next(t *testing.T) (event, bool) {
	t.Helper()
	select {
	case e, more := <-f.events:
		f.last = cmp.Or(e.id, f.last)
		return e, more
	case <-time.After(live.Patience):
		t.Fatalf("%s: no event comes", f.who)
		return event{}, false
	}
}

// await returns the next event like the given one, as far as that says anything.
func (f *follower) await(t *testing.T, want api.Event) event {
	t.Helper()
	for {
		e, more := f.next(t)
		switch {
		case !more:
			t.Fatalf("%s: the stream has ended (%v) before %+v", f.who, f.err, want)
		case e.name == string(want.Type) && e.Type == want.Type && like(e.Subject, want.Subject) && like(e.User, want.User) &&
			like(string(e.Service), string(want.Service)) && like(e.Detail, want.Detail):
			return e
		}
	}
}

func like(got, want string) bool { return want == "" || got == want }

// heed waits until the follower has been told of all that has changed so far. A change is told a moment after it is made.
func (f *follower) heed(t *testing.T, o *office) {
	t.Helper()
	o.token(t, "last-so-far")
	f.await(t, api.Event{Type: api.TokenChanged, User: "last-so-far"})
}

// awaitEnd reads what is left, which must end with an event that says why.
func (f *follower) awaitEnd(t *testing.T) event {
	t.Helper()
	var last event
	for {
		e, more := f.next(t)
		if !more {
			break
		}
		last = e
	}
	if last.name != "end" || last.Reason == "" || f.err != nil {
		t.Fatalf("%s: the stream ended with %+v, %v", f.who, last, f.err)
	}
	return last
}

// TestEvents: whoever follows events sees each change soon, over both protocols; and who is no administrator, only what is theirs.
func TestEvents(t *testing.T) {
	o := newOffice(t, officeConfig)
	admin, ada := o.token(t, "admin", identity.AllScopes()...), o.token(t, "ada")
	var all, own []*follower
	for _, protocol := range webProtocols {
		all = append(all, o.caller(t, protocol, admin).follow(t, "admin", ""))
		own = append(own, o.caller(t, protocol, ada).follow(t, "ada", ""))
	}
	cli := func(args ...string) func() { return func() { o.cli(t, "", args...) } }
	var session *client
	var device *linkEnd
	var token, serial string
	var took []time.Duration
	for _, step := range []struct {
		what  string
		cause func()
		want  []api.Event
		adas  bool // ada sees them, too
	}{
		{"a session opens", func() { session = o.session(t) }, []api.Event{{Type: api.SessionOpened, Service: "echo"}}, false},
		{"a session closes", func() { end(t, session) },
			[]api.Event{{Type: api.SessionClosed, Service: "echo", Detail: "finished"}}, false},
		{"a device comes", func() {
			device = dialLink(t, o.Addresses["field"])
			device.send(t, frame(mihini.Listen, 0, ""))
		}, []api.Event{{Type: api.DeviceConnected, Subject: "meter"}}, false},
		{"a device goes", func() { device.Close() }, []api.Event{{Type: api.DeviceGone, Subject: "meter"}}, false},
		{"a device's services follow it", func() {
			device = dialLink(t, o.Addresses["field"])
			device.send(t, frame(mihini.Listen, 0, ""))
		}, []api.Event{{Type: api.ServiceChanged, Subject: "metered", Service: "metered", Detail: "available"}}, true},
		{"they leave with it", func() { device.Close() },
			[]api.Event{{Type: api.ServiceChanged, Subject: "metered", Detail: "away"}}, true},
		{"a user is added", cli("user", "add", "bob", "--no-password"),
			[]api.Event{{Type: api.UserChanged, Subject: "bob", User: "bob", Detail: "added"}}, false},
		{"a user joins a group", cli("user", "change", "ada", "--join", "lab"),
			[]api.Event{{Type: api.UserChanged, Subject: "ada", Detail: "changed"}, {Type: api.GroupChanged, Subject: "lab", User: "ada", Detail: "joined"}}, false},
		{"a user leaves a group", cli("user", "change", "ada", "--leave", "lab"), []api.Event{{Type: api.GroupChanged, Subject: "lab", User: "ada", Detail: "left"}}, false},
		{"a user gets a password", func() { o.cli(t, "correct horse\n", "user", "passwd", "bob", "--password-stdin") },
			[]api.Event{{Type: api.UserChanged, Subject: "bob", Detail: "changed"}}, false},
		{"a token is made", func() { o.cli(t, "", "token", "add", "bob") },
			[]api.Event{{Type: api.TokenChanged, User: "bob", Detail: "added"}}, false},
		{"a token is revoked", func() {
			token = strings.Fields(o.cli(t, "", "token", "ls", "bob"))[5]
			o.cli(t, "", "token", "rm", token)
		}, []api.Event{{Type: api.TokenChanged, User: "bob", Detail: "revoked"}}, false},
		{"a certificate is issued", func() { _, serial = o.certificate(t, "user", "bob", "bob") },
			[]api.Event{{Type: api.CertificateIssued, User: "bob"}}, false},
		{"a certificate is revoked", func() { o.cli(t, "", "certificate", "revoke", serial) },
			[]api.Event{{Type: api.CertificateRevoked}}, false},
		{"a user is removed", cli("user", "rm", "bob"),
			[]api.Event{{Type: api.UserChanged, Subject: "bob", Detail: "removed"}}, false},
		{"the authority is rotated", cli("certificate", "rotate"), []api.Event{{Type: api.AuthorityRotated}}, false},
	} {
		step.cause()
		done := time.Now()
		followers := all
		if step.adas {
			followers = slices.Concat(all, own)
		}
		var slowest time.Duration
		for _, f := range followers {
			for _, want := range step.want {
				e := f.await(t, want)
				expectPromptly(t, fmt.Sprintf("%s (%s, %s)", step.what, e.name, f.who), e.at, done, eventLimit)
				took = append(took, e.at.Sub(done))
				slowest = max(slowest, e.at.Sub(done))
			}
		}
		t.Logf("%s: %v after the change was done, at the latest", step.what, slowest)
	}
	expectMost(t, "events", took, eventLimit)
	// A reload ends the streams, and they are taken up with the next configuration. It may be told in either.
	o.cli(t, "", "reload")
	done := time.Now()
	for _, f := range all {
		e, more := f.next(t)
		for e.Type != api.ConfigurationReloaded {
			if !more || e.name == "end" {
				f = f.caller.follow(t, "admin", f.last)
			}
			e, more = f.next(t)
		}
		expectPromptly(t, "the configuration is reloaded ("+f.who+")", e.at, done, eventLimit)
		t.Logf("%s: the configuration is reloaded: %v", f.who, e.at.Sub(done))
	}

	// What ada was told is all hers, and ends with her groups, by which other rules hold for her.
	for _, f := range own {
		ended := false
		for e, more := f.next(t); more; e, more = f.next(t) {
			ended = e.name == "end"
			if !ended && e.User != "ada" && e.Type != api.ServiceChanged {
				t.Errorf("%s is told of %+v", f.who, e.Event)
			}
		}
		if !ended {
			t.Errorf("the stream of %s has no end", f.who)
		}
	}
}

// TestEventsQuiet: a stream on which nothing happens is kept open, by comments that tell proxies so.
func TestEventsQuiet(t *testing.T) {
	t.Parallel()
	o := newOffice(t, officeConfig)
	admin := o.token(t, "admin", identity.AllScopes()...)
	var followers []*follower
	for _, protocol := range webProtocols {
		followers = append(followers, o.caller(t, protocol, admin).follow(t, "admin", ""))
	}
	for _, f := range followers {
		if !eventually(func() bool { return f.comments.Load() > 1 }) {
			t.Errorf("%s: nothing says that the stream is alive", f.who)
		}
		if e, ended := drain(f); ended {
			t.Errorf("%s: the stream has ended with %+v, %v", f.who, e, f.err)
		}
	}
}

// session opens a session by name.
func (o *office) session(t *testing.T) *client {
	t.Helper()
	c := open(t, o.Server, "mux")
	say(t, c, "echo\r\nhello")
	expect(t, c, "+\r\nhello")
	return c
}

func end(t *testing.T, c *client) {
	t.Helper()
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	expectEnd(t, c, "FIN")
}

// TestEventsResumed breaks the connection of a follower again and again while changes go on. It takes the stream up with the
// last event that it has seen, and in the end has seen each event once, in order.
func TestEventsResumed(t *testing.T) {
	t.Parallel()
	o := newOffice(t, officeConfig)
	changes := live.Times(60, 400)
	admin := o.token(t, "admin", identity.AllScopes()...)
	o.caller(t, "h2", admin).follow(t, "herald", "").heed(t, o)
	for _, protocol := range webProtocols {
		t.Run(strings.ReplaceAll(protocol, "/", ""), func(t *testing.T) {
			whole := o.caller(t, protocol, admin).follow(t, "whole", "")
			broken := o.caller(t, protocol, admin)
			f := broken.follow(t, "broken", "")
			changed, broke := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(changed)
				changer := o.admin(t)
				for i := range changes {
					if i == changes/2 {
						select { // not everything is to have come before the first break
						case <-broke:
						case <-t.Context().Done():
						}
					}
					if _, err := changer.AddToken(t.Context(), api.NewToken{User: "admin", Label: fmt.Sprint(i)}); err != nil {
						t.Error(err)
						return
					}
				}
			}()
			var seen, want []string
			breaks := 0
			for len(seen) < changes {
				e, more := f.next(t)
				switch {
				case !more:
					if breaks++; breaks == 1 {
						close(broke)
					}
					f = broken.follow(t, "broken", seen[len(seen)-1])
				case e.Type != api.TokenChanged:
					t.Fatalf("%+v came", e)
				default:
					if seen = append(seen, e.id); len(seen)%7 == 0 {
						broken.sever()
					}
				}
			}
			<-changed
			for range changes {
				e, _ := whole.next(t)
				want = append(want, e.id)
			}
			if !slices.Equal(seen, want) {
				t.Errorf("what was seen, is\n%v, not\n%v", seen, want)
			}
			if breaks == 0 {
				t.Error("no stream was broken")
			}
			t.Logf("%d events over %d streams", len(seen), breaks+1)
		})
	}

	// What is too old, or of another run, cannot be made up for; this is said.
	f := o.caller(t, "h2", admin).follow(t, "stranger", "anotherrun-7")
	if e, _ := f.next(t); e.name != "reset" || e.Reason == "" {
		t.Errorf("the first event is %+v", e)
	}
}

// TestEventsEndWithServer: the streams of a server that stops end with an event that says so, and do not hold it up.
func TestEventsEndWithServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeConfig(t, dir, officeConfig)
	s, err := live.Serve(dir, "jackfield.hcl", "echo=127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	o := enter(t, s, dir)
	token := o.token(t, "admin", identity.AllScopes()...)
	var followers []*follower
	for _, protocol := range webProtocols {
		followers = append(followers, o.caller(t, protocol, token).follow(t, "admin", ""))
	}
	if err := s.Stop(os.Interrupt); err != nil {
		t.Error(err)
	}
	for _, f := range followers {
		if e := f.awaitEnd(t); !strings.Contains(e.Reason, "stop") {
			t.Errorf("%s: the stream ended because %q", f.who, e.Reason)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "data/admin.sock")); err == nil {
		t.Error("the socket is still there")
	}
}
