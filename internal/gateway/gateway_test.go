package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"jackfield"
	"jackfield/internal/gateway"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	source = netip.MustParseAddrPort("[::ffff:192.0.2.7]:4711")
	local  = netip.MustParseAddrPort("192.0.2.1:1")
)

// A house is a gateway in which everything writes down that it was asked; each thing can be told to refuse.
type house struct {
	gateway.Gateway
	listener *gateway.Listener
	log      bytes.Buffer

	asked   []string          // in order
	refuse  map[string]bool   // by name
	inside  map[string]int    // gates
	records []string          // what the recorder was told
	last    *jackfield.Record // the last of them
	onOpen  func()            // runs while the route opens
	stream  jackfield.Stream  // what the route opens; nil: a pipe
	client  net.Conn          // the far end of the client's connection
	service net.Conn          // the far end of the service's
}

func newHouse(t *testing.T) *house {
	h := &house{refuse: map[string]bool{}, inside: map[string]int{}}
	h.Log = slog.New(slog.NewTextHandler(&h.log, nil))
	h.Sessions = gateway.NewSessions("test")
	h.Recorder = recorder{h}
	h.Global = h.level("global")
	h.listener = &gateway.Listener{
		Name:     "mux",
		Protocol: "tcpmux",
		Level:    h.level("listener"),
		Services: map[jackfield.Name]*gateway.Service{
			"console.fpga": {
				Name:   "console.fpga",
				Levels: []gateway.Level{h.level("station"), h.level("service")},
				Lease:  gate{h, "lease"},
				Route:  route{h},
			},
			"other": {Name: "other", Route: route{h}},
		},
	}
	t.Cleanup(func() {
		for _, end := range []net.Conn{h.client, h.service} {
			if end != nil {
				end.Close()
			}
		}
	})
	return h
}

func (h *house) level(name string) gateway.Level {
	return gateway.Level{
		ACL:    policy{h, name + ".acl"},
		Limit:  gate{h, name + ".limit"},
		Mapper: policy{h, name + ".mapper"},
	}
}

func (h *house) ask(name string) bool {
	h.asked = append(h.asked, name)
	return !h.refuse[name]
}

// visit takes a visit as far as an open session with the named service.
func (h *house) visit(t *testing.T, name string) (*gateway.Visit, *gateway.Session, error) {
	t.Helper()
	visit, err := h.Admit(t.Context(), h.listener, source, local)
	if err != nil {
		return nil, nil, err
	}
	near, far := net.Pipe()
	h.client = far
	session, err := visit.Open(name, stream{near})
	return visit, session, err
}

type policy struct {
	h    *house
	name string
}

func (p policy) Decide(context.Context, *jackfield.Request) jackfield.Decision {
	return jackfield.Decision{Allow: p.h.ask(p.name), By: p.name, Reason: "told so"}
}

// early decides by address alone when the house refuses "<name>.early", or is told that it allows.
type early struct {
	policy
	allow bool
}

func (p early) DecideEarly(*jackfield.Request) (jackfield.Decision, bool) {
	if !p.h.ask(p.name + ".early") {
		return jackfield.Decision{By: p.name, Reason: "address"}, true
	}
	return jackfield.Decision{Allow: true, By: p.name}, p.allow
}

type gate struct {
	h    *house
	name string
}

func (g gate) Enter(context.Context, *jackfield.Request) (func(), error) {
	if !g.h.ask(g.name) {
		return nil, &jackfield.Error{Kind: jackfield.Limited, Message: "full", By: g.name}
	}
	g.h.inside[g.name]++
	return func() { g.h.inside[g.name]-- }, nil
}

type route struct{ h *house }

func (r route) String() string { return "dial test" }

func (r route) Open(context.Context, *jackfield.Request) (jackfield.Stream, error) {
	if !r.h.ask("route") {
		return nil, jackfield.Refuse(jackfield.Unavailable, "service does not answer", errors.New("connection refused"))
	}
	if r.h.onOpen != nil {
		r.h.onOpen()
	}
	if r.h.stream != nil {
		return r.h.stream, nil
	}
	near, far := net.Pipe()
	r.h.service = far
	return stream{near}, nil
}

// A stream whose ends have to be closed one by one: a pipe knows no half-close.
type stream struct{ net.Conn }

func (stream) CloseWrite() error { return nil }

type recorder struct{ h *house }

func (r recorder) Opened(rec *jackfield.Record) error {
	if !r.h.ask("recorder") {
		return jackfield.Refuse(jackfield.Internal, "audit log cannot be written", nil)
	}
	r.note("open", rec)
	return nil
}

func (r recorder) Closed(rec *jackfield.Record)  { r.note("close", rec) }
func (r recorder) Refused(rec *jackfield.Record) { r.note("refuse", rec) }

func (r recorder) note(event string, rec *jackfield.Record) {
	r.h.records = append(r.h.records, event)
	kept := *rec
	r.h.last = &kept
}

var wholePipeline = []string{
	"global.limit", "listener.limit",
	"global.acl", "listener.acl",
	"station.acl", "service.acl",
	"station.limit", "service.limit",
	"lease",
	"global.mapper", "listener.mapper", "station.mapper", "service.mapper",
	"route",
	"recorder",
}

func TestOrderOfTheChecks(t *testing.T) {
	h := newHouse(t)
	visit, session, err := h.visit(t, "Console.FPGA")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(h.asked, wholePipeline) {
		t.Errorf("asked\n%v, want\n%v", h.asked, wholePipeline)
	}
	if n := h.Sessions.Len(); n != 1 {
		t.Errorf("%d sessions are live, want 1", n)
	}
	h.client.Close()
	h.service.Close()
	end := session.Serve()
	visit.Leave()
	if end.Cause != jackfield.EndFinished {
		t.Errorf("the session ended by %q", end.Cause)
	}
	h.expectEmpty(t)
	if want := []string{"open", "close"}; !slices.Equal(h.records, want) {
		t.Errorf("records %v, want %v", h.records, want)
	}
	if got := h.last.Source.String(); got != "192.0.2.7:4711" {
		t.Errorf("the source of a v4-mapped address is %s", got)
	}
}

// Each check in turn refuses: nothing after it is asked, every place is given back, and one record and one line are left.
func TestRefusalAtEachStep(t *testing.T) {
	told := map[string]jackfield.Kind{ // what the client is told; the default is Denied
		"global.limit": jackfield.Limited, "listener.limit": jackfield.Limited,
		"station.limit": jackfield.Limited, "service.limit": jackfield.Limited, "lease": jackfield.Limited,
		"station.acl": jackfield.NotFound, "service.acl": jackfield.NotFound,
		"route": jackfield.Unavailable, "recorder": jackfield.Internal,
	}
	for i, step := range wholePipeline {
		t.Run(step, func(t *testing.T) {
			h := newHouse(t)
			h.refuse[step] = true
			visit, _, err := h.visit(t, "console.fpga")
			if visit != nil {
				visit.Leave()
			}
			refusal := jackfield.AsError(err)
			want := told[step]
			if want == "" {
				want = jackfield.Denied
			}
			if err == nil || refusal.Kind != want {
				t.Errorf("refused with %v (%s), want kind %s", err, refusal.Kind, want)
			}
			if !slices.Equal(h.asked, wholePipeline[:i+1]) {
				t.Errorf("asked %v", h.asked)
			}
			h.expectEmpty(t)
			if !slices.Equal(h.records, []string{"refuse"}) {
				t.Errorf("records %v, want one refusal", h.records)
			}
			if refusal.ID == "" || h.last.ID != refusal.ID || !strings.Contains(h.log.String(), refusal.ID) {
				t.Errorf("the id %q does not join answer, record and log", refusal.ID)
			}
			if lines := strings.Count(h.log.String(), "\n"); lines != 1 {
				t.Errorf("%d log lines, want 1:\n%s", lines, h.log.String())
			}
		})
	}
}

func (h *house) expectEmpty(t *testing.T) {
	t.Helper()
	for name, n := range h.inside {
		if n != 0 {
			t.Errorf("%d places of %s were not given back", n, name)
		}
	}
	if n := h.Sessions.Len(); n != 0 {
		t.Errorf("%d sessions are still live", n)
	}
}

func TestHiddenServiceReadsLikeNone(t *testing.T) {
	h := newHouse(t)
	h.refuse["service.acl"] = true
	_, _, hidden := h.visit(t, "console.fpga")
	if h.last.Kind != jackfield.Denied || !slices.Equal(h.last.By, []string{"service.acl"}) {
		t.Errorf("the audit says %s by %v, want the truth", h.last.Kind, h.last.By)
	}
	for _, name := range []string{"nosuch", "", "no such\x00", strings.Repeat("a", 1000)} {
		_, _, none := h.visit(t, name)
		a, b := jackfield.AsError(hidden), jackfield.AsError(none)
		if a.Kind != b.Kind || a.Message != b.Message || a.By != b.By || a.Details != nil {
			t.Errorf("hidden: %#v, %q: %#v", a, name, b)
		}
	}
}

func TestAddressDecidesBeforeTheLimits(t *testing.T) {
	h := newHouse(t)
	h.Global.ACL = early{policy: policy{h, "global.acl"}}
	h.refuse["global.acl.early"] = true
	_, _, err := h.visit(t, "console.fpga")
	if jackfield.AsError(err).Kind != jackfield.Denied {
		t.Errorf("got %v", err)
	}
	if want := []string{"global.acl.early"}; !slices.Equal(h.asked, want) {
		t.Errorf("asked %v, want %v", h.asked, want)
	}
}

func TestEarlyDecisionIsNotAskedAgain(t *testing.T) {
	h := newHouse(t)
	h.listener.Level.ACL = early{policy{h, "listener.acl"}, true}
	visit, session, err := h.visit(t, "other")
	if err != nil {
		t.Fatal(err)
	}
	session.Abort(errors.New("test"))
	visit.Leave()
	if slices.Contains(h.asked, "listener.acl") || !slices.Contains(h.asked, "global.acl") {
		t.Errorf("asked %v", h.asked)
	}
	if want := []string{"listener.acl", "global.acl", "global.mapper", "listener.mapper"}; !slices.Equal(h.last.By, want) {
		t.Errorf("let in by %v, want %v", h.last.By, want)
	}
}

func TestDisconnectWhileOpening(t *testing.T) {
	h := newHouse(t)
	h.onOpen = func() {
		if !h.Sessions.Disconnect(h.Sessions.List()[0].ID, "disconnected by admin") {
			t.Error("no such session")
		}
	}
	visit, _, err := h.visit(t, "console.fpga")
	visit.Leave()
	if refusal := jackfield.AsError(err); refusal.Kind != jackfield.Unavailable || !strings.Contains(err.Error(), "disconnected by admin") {
		t.Errorf("got %v", err)
	}
	h.expectEmpty(t)
	if slices.Contains(h.asked, "recorder") {
		t.Error("a session that was cut before it began was recorded as open")
	}
}

// A client that is gone holds no place while a dead service is waited for.
func TestClientGoneWhileOpening(t *testing.T) {
	h := newHouse(t)
	h.Sessions = gateway.NewSessions("test")
	h.listener.Services["dead"] = &gateway.Service{Name: "dead", Route: deadRoute{}}
	visit, err := h.Admit(t.Context(), h.listener, source, local)
	if err != nil {
		t.Fatal(err)
	}
	defer visit.Leave()
	near, far := tcpPair(t)
	far.SetLinger(0)
	far.Close()
	defer near.Close()
	_, err = visit.Open("dead", near)
	if err == nil || !strings.Contains(err.Error(), "client's connection broke") {
		t.Errorf("got %v", err)
	}
}

// A look that finds the client gone just as the route opens ends the session before it begins.
func TestClientGoneAsTheRouteOpens(t *testing.T) {
	h := newHouse(t)
	near, far := net.Pipe()
	h.client = far
	client := &breaking{stream: stream{near}, looked: make(chan struct{}), opened: make(chan struct{})}
	h.onOpen = func() { <-client.looked; close(client.opened) }
	visit, err := h.Admit(t.Context(), h.listener, source, local)
	if err != nil {
		t.Fatal(err)
	}
	_, err = visit.Open("other", client)
	visit.Leave()
	if err == nil || !strings.Contains(err.Error(), "client's connection broke") {
		t.Errorf("got %v", err)
	}
	h.expectEmpty(t)
}

// A breaking stream is looked at, and known to have broken once the route is open.
type breaking struct {
	stream
	looked, opened chan struct{}
}

func (b *breaking) Broken() bool {
	close(b.looked)
	<-b.opened
	return true
}

// deadRoute waits for a service that never answers.
type deadRoute struct{}

func (deadRoute) String() string { return "dial dead" }

func (deadRoute) Open(ctx context.Context, _ *jackfield.Request) (jackfield.Stream, error) {
	<-ctx.Done()
	return nil, jackfield.Refuse(jackfield.Unavailable, "service does not answer", context.Cause(ctx))
}

func tcpPair(t *testing.T) (near, far *net.TCPConn) {
	t.Helper()
	ln, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	dialled, err := net.DialTCP("tcp", nil, ln.Addr().(*net.TCPAddr))
	if err != nil {
		t.Fatal(err)
	}
	near, err = ln.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	return near, dialled
}

// A running session is asked about again when the rules have changed.
func TestAllowsAndCutForbidden(t *testing.T) {
	h := newHouse(t)
	visit, session, err := h.visit(t, "console.fpga")
	if err != nil {
		t.Fatal(err)
	}
	allowed := func(r jackfield.Request) error { return h.Allows(t.Context(), h.listener, r) }
	if n := h.Sessions.CutForbidden(allowed); n != 0 {
		t.Errorf("%d sessions were cut under the same rules", n)
	}
	h.refuse["service.acl"] = true
	if n := h.Sessions.CutForbidden(allowed); n != 1 {
		t.Errorf("%d sessions were cut, want 1", n)
	}
	end := session.Serve()
	visit.Leave()
	if !strings.Contains(end.Cause, "forbidden since the configuration was reloaded") {
		t.Errorf("ended by %q", end.Cause)
	}
	delete(h.listener.Services, "console.fpga")
	if err := allowed(jackfield.Request{Service: "console.fpga"}); err == nil {
		t.Error("a service that is not published any more is allowed")
	}
}

func TestDisconnectWhileServing(t *testing.T) {
	h := newHouse(t)
	visit, session, err := h.visit(t, "console.fpga")
	if err != nil {
		t.Fatal(err)
	}
	h.Sessions.Disconnect(visit.ID(), "disconnected by admin")
	end := session.Serve()
	visit.Leave()
	if end.Cause != "disconnected by admin" || h.last.End != end {
		t.Errorf("ended by %q, recorded %q", end.Cause, h.last.End.Cause)
	}
	if h.Sessions.Disconnect(visit.ID(), "again") {
		t.Error("a session that has ended was disconnected again")
	}
	h.expectEmpty(t)
}

func TestNames(t *testing.T) {
	h := newHouse(t)
	visit, err := h.Admit(t.Context(), h.listener, source, local)
	if err != nil {
		t.Fatal(err)
	}
	defer visit.Leave()
	all := []jackfield.Name{"console.fpga", "other"}
	if got := visit.Visible(); !slices.Equal(got, all) {
		t.Errorf("visible: %v, want %v", got, all)
	}
	h.refuse["station.acl"] = true
	if got := visit.Visible(); !slices.Equal(got, all[1:]) {
		t.Errorf("visible behind a refusing station: %v", got)
	}
	if got := visit.Published(); !slices.Equal(got, all) {
		t.Errorf("published: %v, want %v", got, all)
	}
	h.refuse["global.acl"] = true
	if got := append(visit.Visible(), visit.Published()...); len(got) != 0 {
		t.Errorf("a global denial leaves %v", got)
	}
}
