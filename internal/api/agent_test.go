package api_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"jackfield"
	"jackfield/internal/api"
	"jackfield/internal/api/apitest"
)

func TestAgents(t *testing.T) {
	s := apitest.New(t)
	admin, ctx := s.Client(t, s.Admin), t.Context()
	all, err := admin.Agents(ctx)
	if err != nil || len(all) != 3 || all[0].Name != "edge-7" || all[0].State != api.AgentWaiting || !all[1].Inbound ||
		all[2].Latency != 0.012 || len(all[2].Services) != 2 || all[2].Since.IsZero() || all[0].Offers == nil {
		t.Fatalf("%+v, %v", all, err)
	}
	one, err := admin.Agent(ctx, "ROOF-1")
	if err != nil || one.Name != "roof-1" || one.Source.String() != "192.0.2.10:4711" {
		t.Errorf("%+v, %v", one, err)
	}

	// Whoever enrols an agent owns it, unless something else is said.
	made, err := admin.EnrollAgent(ctx, api.NewAgent{Name: "edge-8"})
	if err != nil || made.Token == "" || made.Agent.Owner != "ada" || made.Agent.CreatedBy != "ada" {
		t.Errorf("%+v, %v", made, err)
	}
	bob, nobody := "bob", ""
	if made, err = admin.EnrollAgent(ctx, api.NewAgent{Name: "edge-9", Owner: &bob}); err != nil || made.Agent.Owner != "bob" {
		t.Errorf("%+v, %v", made, err)
	}
	if made, err = admin.EnrollAgent(ctx, api.NewAgent{Name: "edge-9"}); err != nil || made.Agent.Owner != "bob" {
		t.Errorf("a new token for it: %+v, %v", made, err)
	}
	if made, err = admin.EnrollAgent(ctx, api.NewAgent{Name: "edge-9", Owner: &nobody}); err != nil || made.Agent.Owner != "" {
		t.Errorf("%+v, %v", made, err)
	}

	name, offers := "edge-10", []string{"ssh"}
	changed, err := admin.ChangeAgent(ctx, "edge-9", api.AgentChange{Name: &name, Offers: &offers, Owner: &bob})
	if err != nil || changed.Name != name || !slices.Equal(changed.Offers, offers) || changed.Owner != "bob" {
		t.Errorf("%+v, %v", changed, err)
	}
	if err := admin.RemoveAgent(ctx, "edge-10"); err != nil {
		t.Error(err)
	}
	if _, err := admin.Agent(ctx, "edge-10"); jackfield.AsError(err).Kind != jackfield.NotFound {
		t.Errorf("one that was removed: %v", err)
	}

	for want, do := range map[string]func() error{
		"drain: late":      func() error { return admin.DrainAgent(ctx, "roof-1", "late") },
		"reload":           func() error { return admin.ReloadAgent(ctx, "roof-1") },
		"tunnel to 10.0.1": func() error { return admin.OpenTunnel(ctx, "roof-1", api.AgentTunnel{ServerAddress: "10.0.1"}) },
	} {
		if err := do(); err != nil || s.Agents.Told("roof-1") != want {
			t.Errorf("it was told %q, want %q, %v", s.Agents.Told("roof-1"), want, err)
		}
	}
}

func TestAgentsAreNotForAll(t *testing.T) {
	s := apitest.New(t)
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	for name, c := range map[string]struct {
		token, line, body string
		status            int
		kind              jackfield.Kind
		part              string
	}{
		"list":            {s.User, "GET /agents", "", 403, "denied", ""},
		"enrol":           {s.User, "POST /agents", `{"name":"x"}`, 403, "denied", ""},
		"remove":          {s.User, "DELETE /agents/roof-1", "", 403, "denied", ""},
		"tunnel":          {s.User, "POST /agents/roof-1/tunnel", `{}`, 403, "denied", ""},
		"nobody":          {"", "GET /agents", "", 401, "unauthenticated", ""},
		"unknown":         {s.Admin, "GET /agents/nosuch", "", 404, "not_found", "agent"},
		"unknown owner":   {s.Admin, "POST /agents", `{"name":"x","owner":"eve"}`, 404, "not_found", "user"},
		"joined":          {s.Admin, "POST /agents", `{"name":"roof-1"}`, 409, "busy", "joined already"},
		"in the file":     {s.Admin, "DELETE /agents/plant-3", "", 409, "busy", "configuration file"},
		"change the file": {s.Admin, "PATCH /agents/plant-3", `{"name":"x"}`, 409, "busy", "configuration file"},
		"away":            {s.Admin, "POST /agents/edge-7/reload", "", 503, "unavailable", "not connected"},
		"port":            {s.Admin, "POST /agents/roof-1/tunnel", `{"local_port":65536}`, 400, "invalid", "port"},
		"long address":    {s.Admin, "POST /agents/roof-1/tunnel", `{"local_address":"` + strings.Repeat("x", 254) + `"}`, 400, "invalid", "address"},
		"long reason":     {s.Admin, "POST /agents/roof-1/drain?reason=" + strings.Repeat("x", 201), "", 400, "invalid", "one line"},
		"half a join":     {"", "POST /agents/join", `{"token":"x"}`, 400, "invalid", "request"},
		"wrong token":     {"", "POST /agents/join", `{"token":"x","request":"y"}`, 401, "unauthenticated", "not good"},
	} {
		t.Run(name, func(t *testing.T) {
			answer, body := ask(t, s, c.token, c.line, c.body)
			wantProblem(t, answer, body, c.status, c.kind, c.part)
			if c.status == 401 && answer.Header.Get("WWW-Authenticate") == "" {
				t.Error("a 401 without WWW-Authenticate")
			}
		})
	}
}

// To join needs nothing but a token; it is recorded, and the token is nowhere.
func TestAgentJoins(t *testing.T) {
	s := apitest.New(t)
	stranger := s.Client(t, "")
	joined, err := stranger.JoinAgent(t.Context(), api.AgentJoin{Token: apitest.JoinToken, Request: "x"})
	if err != nil || joined.Name != "edge-7" || joined.Certificate == "" || joined.Authorities == "" {
		t.Fatalf("%+v, %v", joined, err)
	}
	_, err = stranger.JoinAgent(t.Context(), api.AgentJoin{Token: apitest.JoinToken, Request: "x"})
	if jackfield.AsError(err).Kind != jackfield.Unauthenticated {
		t.Errorf("a second time: %v", err)
	}
	calls := s.Fake.Calls()
	if len(calls) != 2 || calls[0].Target != "agent edge-7" || calls[0].Status != 201 || calls[1].Status != 401 ||
		calls[1].ID != jackfield.AsError(err).ID {
		t.Errorf("%+v", calls)
	}
	if strings.Contains(s.Log.String(), apitest.JoinToken) {
		t.Error("the log has the token")
	}
}

// Whoever shows one wrong token after the other waits; others do not, and a good token does not count.
func TestWrongTokensAreSlowedDown(t *testing.T) {
	s := apitest.New(t)
	stranger := s.Client(t, "")
	var last *jackfield.Error
	for range 30 {
		_, err := stranger.JoinAgent(t.Context(), api.AgentJoin{Token: "jfa_wrong", Request: "x"})
		if !errors.As(err, &last) {
			t.Fatal(err)
		}
		if last.Kind == jackfield.Limited {
			break
		}
	}
	if last.Kind != jackfield.Limited {
		t.Fatalf("after 30 wrong tokens: %v", last)
	}
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	answer, _ := ask(t, s, "", "POST /agents/join", `{"token":"`+apitest.JoinToken+`","request":"x"}`)
	if answer.StatusCode != 429 || answer.Header.Get("Retry-After") == "" {
		t.Errorf("%s, Retry-After %q", answer.Status, answer.Header.Get("Retry-After"))
	}
}
