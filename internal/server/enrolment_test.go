package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"jackfield"
	"jackfield/internal/api"
	"jackfield/internal/authority"
	"jackfield/internal/authority/ledger"
	"jackfield/internal/enrolment"
	"jackfield/internal/identity"
	"jackfield/internal/store/memory"
)

// fakeLinks notes what is done to the links of agents.
type fakeLinks struct {
	mu    sync.Mutex
	links []api.Agent
	cut   []string
	err   error
}

func (f *fakeLinks) Links() []api.Agent { return f.links }

func (f *fakeLinks) Cut(agent string, why error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cut = append(f.cut, agent+": "+why.Error())
}

func (f *fakeLinks) Drain(context.Context, string, string) error           { return f.err }
func (f *fakeLinks) Reload(context.Context, string) error                  { return f.err }
func (f *fakeLinks) Tunnel(context.Context, string, api.AgentTunnel) error { return f.err }

func newAgents(t *testing.T) (agents, *fakeLinks) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	s := &state{store: memory.New(), log: log}
	t.Cleanup(func() { s.store.Close() })
	var err error
	if s.ledger, err = ledger.Open(t.Context(), s.store, log); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.ledger.Close)
	if s.agents, err = enrolment.Open(t.Context(), s.store, log); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.agents.Close)
	if s.authority, err = authority.Open(authority.Options{Dir: filepath.Join(t.TempDir(), "ca"), Revoked: s.refused, Log: log}); err != nil {
		t.Fatal(err)
	}
	links := &fakeLinks{}
	return agents{&Server{state: s, links: links, log: log}}, links
}

func newRequest(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request}))
}

func (a agents) mustEnroll(t *testing.T, name string) (token string) {
	t.Helper()
	made, err := a.Enroll(t.Context(), api.NewAgent{Name: name, Again: true}, &identity.User{Name: "ada", ID: "1"}, "ada")
	if err != nil {
		t.Fatal(err)
	}
	return made.Token
}

// mustJoin returns the agent's certificate.
func (a agents) mustJoin(t *testing.T, token string) *x509.Certificate {
	t.Helper()
	joined, err := a.Join(t.Context(), api.AgentJoin{Token: token, Request: newRequest(t)})
	if err != nil || joined.Authorities != string(a.state.authority.Bundle()) {
		t.Fatalf("%+v, %v", joined, err)
	}
	return parse(t, []byte(joined.Certificate))
}

func parse(t *testing.T, text []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatalf("no certificate: %q", text)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// wantGood looks in each of the places where a certificate is looked at.
func (a agents) wantGood(t *testing.T, c *x509.Certificate, want bool) {
	t.Helper()
	subject, serial, err := authority.ParsePeer(c)
	if err != nil {
		t.Fatal(err)
	}
	_, there := a.state.ledger.Get(serial)
	_, _, err = a.state.agentOf(c)
	entry := ledger.Entry{Serial: serial, Kind: subject.Kind, Name: subject.Name, Authority: a.state.authority.Fingerprint()}
	if there != want || a.state.refused(subject, serial) == want || a.state.void(entry) == want || (err == nil) != want {
		t.Errorf("a certificate: in the ledger %v, at handshakes %v, in lists %v, agentOf %v; want it good: %v",
			there, !a.state.refused(subject, serial), !a.state.void(entry), err, want)
	}
}

// Of many that join with one token, one has a certificate that is good.
func TestOneJoins(t *testing.T) {
	a, _ := newAgents(t)
	token := a.mustEnroll(t, "edge-7")
	var mu sync.Mutex
	var joined []api.AgentMembership
	var all sync.WaitGroup
	for range 16 {
		request := newRequest(t)
		all.Go(func() {
			m, err := a.Join(t.Context(), api.AgentJoin{Token: token, Request: request})
			if err != nil {
				if jackfield.AsError(err).Kind != jackfield.Unauthenticated {
					t.Error(err)
				}
				return
			}
			mu.Lock()
			defer mu.Unlock()
			joined = append(joined, m)
		})
	}
	all.Wait()
	if len(joined) != 1 {
		t.Fatalf("%d have joined", len(joined))
	}
	a.wantGood(t, parse(t, []byte(joined[0].Certificate)), true)
	good := 0
	for _, e := range a.state.ledger.List() {
		if !a.state.void(e) {
			good++
		}
	}
	if good != 1 {
		t.Errorf("%d certificates are good", good)
	}
}

// A request that cannot be signed does not use the token up, and tells strangers nothing.
func TestBadRequest(t *testing.T) {
	a, _ := newAgents(t)
	token := a.mustEnroll(t, "edge-7")
	for _, request := range []string{"x", strings.Repeat("x", authority.MaxRequest+1), newRequest(t)[:100]} {
		_, err := a.Join(t.Context(), api.AgentJoin{Token: token, Request: request})
		if jackfield.AsError(err).Kind != jackfield.Invalid {
			t.Errorf("%v", err)
		}
		_, err = a.Join(t.Context(), api.AgentJoin{Token: "x", Request: request})
		if jackfield.AsError(err).Kind != jackfield.Unauthenticated {
			t.Errorf("without a token: %v", err)
		}
	}
	a.wantGood(t, a.mustJoin(t, token), true)
}

// Old and renewed are both good until the agent comes with the renewed one; enrolled anew, when it has joined; removed, none is.
func TestCertificatesOfAnAgent(t *testing.T) {
	a, links := newAgents(t)
	first := a.mustJoin(t, a.mustEnroll(t, "edge-7"))
	_, serial, err := authority.ParsePeer(first)
	if err != nil {
		t.Fatal(err)
	}
	text, authorities, err := a.renewAgent(t.Context(), serial, []byte(newRequest(t)))
	if err != nil || string(authorities) != string(a.state.authority.Bundle()) {
		t.Fatalf("%s, %v", authorities, err)
	}
	renewed := parse(t, text)
	a.wantGood(t, first, true)
	a.wantGood(t, renewed, true)
	_, serial, err = authority.ParsePeer(renewed)
	if err != nil {
		t.Fatal(err)
	}
	a.arrived(t.Context(), serial)
	a.wantGood(t, first, false)
	a.wantGood(t, renewed, true)

	name := "roof"
	if changed, err := a.Change(t.Context(), "edge-7", api.AgentChange{Name: &name}, nil); err != nil || changed.Name != "roof" || changed.Owner != "ada" {
		t.Fatalf("%+v, %v", changed, err)
	}
	a.wantGood(t, renewed, true)
	token := a.mustEnroll(t, "roof")
	a.wantGood(t, renewed, true)
	anew := a.mustJoin(t, token)
	a.wantGood(t, renewed, false)
	a.wantGood(t, anew, true)
	if err := a.Remove(t.Context(), "roof"); err != nil {
		t.Fatal(err)
	}
	a.wantGood(t, anew, false)
	want := []string{"edge-7: the agent was renamed", "roof: the agent was enrolled anew, and has joined", "roof: the agent was removed"}
	if !slices.Equal(links.cut, want) {
		t.Errorf("cut were %q, want %q", links.cut, want)
	}
}

// What is seen of an agent is of the roll and of its link; the configuration's agents are seen, too.
func TestAgentsAsSeen(t *testing.T) {
	a, links := newAgents(t)
	a.mustEnroll(t, "a")
	a.mustJoin(t, a.mustEnroll(t, "b"))
	a.mustJoin(t, a.mustEnroll(t, "c"))
	links.links = []api.Agent{
		{Name: "c", State: api.AgentLinked, Version: "1"}, {Name: "plant-3", State: api.AgentAway, Inbound: true},
	}
	states := make(map[string]api.AgentState)
	for _, seen := range a.Agents() {
		states[seen.Name] = seen.State
		if !seen.Inbound && (seen.Owner != "ada" || (seen.Name == "c") != (seen.Version == "1")) {
			t.Errorf("%+v", seen)
		}
	}
	want := map[string]api.AgentState{"a": api.AgentWaiting, "b": api.AgentAway, "c": api.AgentLinked, "plant-3": api.AgentAway}
	for name := range want {
		if states[name] != want[name] || len(states) != len(want) {
			t.Errorf("%v, want %v", states, want)
		}
	}

	draining := func(want bool) {
		t.Helper()
		if known, err := a.state.agents.Get("c"); err != nil || known.Draining != want {
			t.Errorf("draining: %v, %v", known.Draining, err)
		}
	}
	links.err = errAgentAway
	if err := a.Drain(t.Context(), "c", ""); jackfield.AsError(err).Kind != jackfield.Unavailable {
		t.Error(err)
	}
	draining(false)
	links.err = nil
	for _, name := range []string{"c", "plant-3"} {
		if err := a.Drain(t.Context(), name, ""); err != nil {
			t.Error(err)
		}
	}
	draining(true)
}
