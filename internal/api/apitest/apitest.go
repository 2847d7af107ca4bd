// Package apitest runs an API in memory, for tests: a real directory and a real journal on a store in memory, and stand-ins for
// the rest of a server.
//
//	s := apitest.New(t)
//	client := s.Client(t, s.Admin)
//	sessions, err := client.Sessions(t.Context())
package apitest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"jackfield"
	"jackfield/internal/api"
	"jackfield/internal/audit"
	"jackfield/internal/audit/journal"
	"jackfield/internal/identity"
	"jackfield/internal/logtest"
	"jackfield/internal/store"
	"jackfield/internal/store/memory"
)

// Started is when everything began.
var Started = time.Date(2026, 11, 22, 5, 0, 0, 0, time.UTC)

// Password is what GivePassword gives.
const Password = "correct horse battery"

// A Server is an API that listens on loopback. Users are ada, an administrator, and bob, who is none.
type Server struct {
	*api.Server
	Directory *identity.Directory
	Hub       *api.Hub
	Fake      *Fake
	Agents    *Agents
	Log       *logtest.Buffer // what was logged, at every level
	URL       string

	Admin, User, ReadOnly string // tokens: of ada with every scope, of bob with the usual ones, of bob to read with

	journal *journal.Writer
	clock   atomic.Int64
}

// A Setup says what is different from the usual server; nil: nothing.
type Setup struct {
	Options func(*api.Options)
	Wrap    func(http.Handler) http.Handler // of the handler: it sees every call
}

// New starts a server that ends with the test.
func New(t testing.TB) *Server {
	t.Helper()
	return NewWith(t, Setup{})
}

// NewWith starts a server that is not the usual one.
func NewWith(t testing.TB, setup Setup) *Server {
	t.Helper()
	entries := memory.New()
	records, err := entries.Journal(t.Context(), journal.Name, store.Retention{})
	directory, err2 := identity.Open(t.Context(), entries, identity.Options{})
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	s := &Server{Directory: directory, Hub: api.NewHub(), Log: new(logtest.Buffer)}
	s.Fake, s.Agents = newFake(s.Hub), newAgents()
	log := slog.New(slog.NewJSONHandler(s.Log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s.journal = journal.NewWriter(records, journal.Options{Server: "test", Log: log})
	s.people(t)
	watched := &watched{Directory: directory, begun: make(chan struct{})}
	var ids atomic.Int64
	options := api.Options{
		Status:    api.Status{Version: "1.2.3", PID: 7, Started: Started, Node: "a"},
		Log:       log,
		NewID:     func() string { return "id-" + strconv.FormatInt(ids.Add(1), 10) },
		Audit:     s.Fake.call,
		Hub:       s.Hub,
		Directory: watched, Services: s.Fake, Sessions: s.Fake, Devices: s.Fake, Agents: s.Agents, Configuration: s.Fake,
		Journal: journal.NewReader(records), Certificates: s.Fake, Backups: s.Fake,
	}
	if setup.Options != nil {
		setup.Options(&options)
	}
	s.Server = api.New(options)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	<-watched.begun // what the test changes is an event; what was before is none
	handler := s.Handler(api.Entrance{Listener: "web", Protocol: "http", Admit: s.Fake.admit})
	if setup.Wrap != nil {
		handler = setup.Wrap(handler)
	}
	server := httptest.NewServer(handler)
	s.URL = server.URL
	t.Cleanup(func() {
		s.Stop("the server is stopping")
		server.Close()
		cancel()
		running.Wait()
		s.journal.Close(context.Background())
		directory.Close()
		entries.Close()
	})
	return s
}

// A watched directory says when the API has begun to watch it: it has read the users then.
type watched struct {
	*identity.Directory
	begun chan struct{}
	once  sync.Once
}

func (w *watched) Users() []identity.User {
	users := w.Directory.Users()
	w.once.Do(func() { close(w.begun) })
	return users
}

func (s *Server) people(t testing.TB) {
	ctx := t.Context()
	_, err := s.Directory.AddUser(ctx, identity.NewUser{Name: "ada", Admin: true}, "")
	_, err2 := s.Directory.AddUser(ctx, identity.NewUser{Name: "bob", Groups: []string{"lab"}}, "")
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	s.Admin = s.Token(t, "ada", identity.AllScopes()...)
	s.User = s.Token(t, "bob", identity.Read, identity.Write, identity.Connect)
	s.ReadOnly = s.Token(t, "bob", identity.Read)
}

// GivePassword gives bob the password, which takes as long as passwords do.
func (s *Server) GivePassword(t testing.TB) {
	t.Helper()
	if _, err := s.Directory.SetPassword(t.Context(), "bob", 0, Password); err != nil {
		t.Fatal(err)
	}
}

// Token makes a token.
func (s *Server) Token(t testing.TB, user string, scopes ...identity.Scope) string {
	t.Helper()
	secret, _, err := s.Directory.AddToken(t.Context(), identity.NewToken{User: user, Scopes: scopes})
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// OneTime makes a one-time token of bob's.
func (s *Server) OneTime(t testing.TB) string {
	t.Helper()
	secret, _, err := s.Directory.AddToken(t.Context(), identity.NewToken{User: "bob", OneTime: true})
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// Client makes a client of the server.
func (s *Server) Client(t testing.TB, token string) *api.Client {
	t.Helper()
	c, err := api.NewClient(api.ClientOptions{URL: s.URL, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// Record adds a line to the audit: an open of the user's. It returns when the line can be read.
func (s *Server) Record(t testing.TB, user, service string) {
	t.Helper()
	line, err := json.Marshal(map[string]any{
		"event": "open", "time": time.Now().Add(time.Duration(s.clock.Add(1)) * time.Second).UTC().Format(audit.TimeFormat),
		"id": "s-" + strconv.FormatInt(s.clock.Load(), 10), "listener": "mux", "protocol": "tcpmux", "source": "192.0.2.7:4711",
		"local": "", "user": user, "groups": []string{}, "proof": "none", "service": service, "route": "dial 10.9.9.9:80", "by": []string{"acl.global[0]"},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.journal.Add(append(line, '\n'))
	if err := s.journal.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A Fake stands in for the gateway, the configuration, the authority and the store.
type Fake struct {
	hub *api.Hub

	mu           sync.Mutex
	sessions     []api.Session
	certificates []api.Certificate
	calls        []audit.Call
	cut          map[string]string // sessions and devices, and why
	restored     string
	rotated      bool
	deny         bool
}

func newFake(hub *api.Hub) *Fake {
	return &Fake{
		hub: hub,
		cut: map[string]string{},
		sessions: []api.Session{
			{ID: "b/2", Listener: "mux", Protocol: "tcpmux", Service: "time", User: "ada", Route: "builtin time", Started: Started.Add(time.Minute)},
			{
				ID: "a1", Listener: "mux", Protocol: "tcpmux", Source: netip.MustParseAddrPort("192.0.2.7:4711"), User: "bob",
				Service: "console.fpga-1", Route: "dial 127.0.0.1:80", Started: Started, BytesFromClient: 3, BytesFromService: 1 << 40,
			},
		},
		certificates: []api.Certificate{{
			Serial: strings.Repeat("0", 31) + "1", Kind: "user", Name: "ada", Issued: Started, Expires: Started.AddDate(1, 0, 0),
		}},
	}
}

// Deny makes the entrance's rules refuse everybody, or nobody.
func (f *Fake) Deny(deny bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deny = deny
}

func (f *Fake) admit(context.Context, netip.AddrPort, netip.AddrPort, jackfield.Identity) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.deny {
		return &jackfield.Error{Kind: jackfield.Denied, Message: "access denied", ID: "gateway-1", By: "acl.global[0]"}
	}
	return nil
}

func (f *Fake) call(c *audit.Call) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, *c)
}

// Calls returns what was recorded of calls.
func (f *Fake) Calls() []audit.Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// WhyCut returns why a session or a device was cut; empty if it was not.
func (f *Fake) WhyCut(id string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cut[id]
}

// Services: bob may see console.fpga-1 and time; secret is for administrators.
func (f *Fake) Services(_ context.Context, v api.Viewer) []api.Service {
	all := []api.Service{
		{Name: "time", State: api.Available, Route: "builtin time", Reach: []api.Reach{{Listener: "mux", Protocol: "tcpmux", Address: "127.0.0.1", Port: 1078, Name: "time"}}},
		{Name: "console.fpga-1", State: api.Away, Route: "device fpga", Reach: []api.Reach{{Listener: "mux", Protocol: "tcpmux", Address: "127.0.0.1", Port: 1078, Name: "console.fpga-1"}}},
	}
	if v.Admin {
		all = append(all, api.Service{Name: "secret", State: api.Unknown, Route: "dial 10.9.9.9:80"})
	}
	return all
}

// Lease is how the stations are leased.
func (f *Fake) Lease(string) string { return "none" }

// List returns the sessions.
func (f *Fake) List() []api.Session {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.sessions)
}

// SetSessions replaces the sessions.
func (f *Fake) SetSessions(sessions []api.Session) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sessions = sessions
}

// Disconnect ends a session.
func (f *Fake) Disconnect(id, why string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.sessions, func(s api.Session) bool { return s.ID == id })
	if i < 0 {
		return false
	}
	f.sessions = slices.Delete(slices.Clone(f.sessions), i, i+1)
	f.cut[id] = why
	return true
}

// Devices: meter-7 is connected, meter-8 is not.
func (f *Fake) Devices() []api.Device {
	source := netip.MustParseAddrPort("192.0.2.9:1")
	since := Started
	return []api.Device{
		{Name: "meter-8"},
		{Name: "meter-7", Connected: true, Since: &since, Listener: "m", Source: &source, Streams: 2, Opened: 9},
	}
}

// Cut ends the link of meter-7.
func (f *Fake) Cut(device, why string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cut[device] = why
	return device == "meter-7"
}

// Why knows one service.
func (f *Fake) Why(_ context.Context, q api.Question) (api.Explanation, error) {
	if q.Service != "time" {
		return api.Explanation{}, jackfield.Refuse(jackfield.NotFound, "no listener publishes it", nil)
	}
	return api.Explanation{Listener: "mux", Service: q.Service, Verdict: "denied", Checks: []api.Check{
		{Step: 1, Place: "global", Subject: "address", Outcome: "failed", By: "acl.global[0]", Reason: q.Source.String()},
	}}, nil
}

// Check finds what begins with "bad".
func (f *Fake) Check(_ context.Context, text []byte) ([]api.ConfigurationProblem, error) {
	if bytes.HasPrefix(text, []byte("bad")) {
		return []api.ConfigurationProblem{{Severity: "error", Message: "it is bad", File: "posted", Line: 1}}, nil
	}
	return []api.ConfigurationProblem{{Severity: "warning", Message: "careful"}}, nil
}

// Reload works, and says so, as a server does however it is told to reload.
func (f *Fake) Reload(context.Context) (api.Reloaded, error) {
	f.hub.Publish(api.Event{Type: api.ConfigurationReloaded, Subject: "2"})
	return api.Reloaded{Generation: 2, Cut: 1, Warnings: "careful"}, nil
}

// Authority is no real one.
func (f *Fake) Authority() api.Authority {
	return api.Authority{Bundle: "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", Fingerprint: strings.Repeat("ab", 32)}
}

// Issue signs everything that begins like a request.
func (f *Fake) Issue(_ context.Context, request []byte, kind, name string, lifetime time.Duration) (api.IssuedCertificate, error) {
	if !bytes.HasPrefix(request, []byte("-----BEGIN CERTIFICATE REQUEST-----")) {
		return api.IssuedCertificate{}, jackfield.Refuse(jackfield.Invalid, "that is no certificate request", nil)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	issued := api.Certificate{
		Serial: fmt.Sprintf("%032x", len(f.certificates)+1), Kind: kind, Name: name, Issued: Started, Expires: Started.Add(lifetime),
	}
	f.certificates = append(f.certificates, issued)
	return api.IssuedCertificate{Certificate: issued, PEM: "-----BEGIN CERTIFICATE-----\n"}, nil
}

// Issued returns the certificates.
func (f *Fake) Issued(context.Context) ([]api.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.certificates), nil
}

func (f *Fake) certificateIndex(serial string) int {
	return slices.IndexFunc(f.certificates, func(c api.Certificate) bool { return c.Serial == serial })
}

// Revoke revokes one.
func (f *Fake) Revoke(_ context.Context, serial string) (api.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := f.certificateIndex(serial)
	if i < 0 {
		return api.Certificate{}, jackfield.Refuse(jackfield.NotFound, "there is no such certificate", nil)
	}
	f.certificates[i].Revoked = true
	return f.certificates[i], nil
}

// Retire does nothing.
func (f *Fake) Retire(context.Context) error { return nil }

// Rotate works once.
func (f *Fake) Rotate(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rotated {
		return jackfield.Refuse(jackfield.Busy, "the last rotation is not over", nil)
	}
	f.rotated = true
	return nil
}

// Backup writes what Restore has read.
func (f *Fake) Backup(_ context.Context, to io.Writer) error {
	_, err := io.WriteString(to, "everything")
	return err
}

// Restore wants a backup.
func (f *Fake) Restore(_ context.Context, from io.Reader) error {
	text, err := io.ReadAll(from)
	if err != nil {
		return err
	}
	if string(text) != "everything" {
		return jackfield.Refuse(jackfield.Invalid, "that is no backup", nil)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.restored = string(text)
	return nil
}
