package gateway_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"jackfield"
	"jackfield/internal/gateway"
)

// asking is the request that the house's visits make.
var asking = jackfield.Request{Listener: "mux", Protocol: "tcpmux", Source: source, Local: local, Service: "console.fpga"}

func (g gate) Check(*jackfield.Request) error {
	if !g.h.ask(g.name) {
		return &jackfield.Error{Kind: jackfield.Limited, Message: "full", By: g.name}
	}
	return nil
}

// Explain asks what the pipeline asks, in its order, and takes nothing.
func TestExplainFollowsThePipeline(t *testing.T) {
	h := newHouse(t)
	checks := h.Explain(t.Context(), h.listener, asking, true)
	want := slices.DeleteFunc(slices.Clone(wholePipeline), func(s string) bool { return s == "route" || s == "recorder" })
	if !slices.Equal(h.asked, want) {
		t.Errorf("asked\n%v, want\n%v", h.asked, want)
	}
	for i := range checks[1:] {
		if checks[i].Step > checks[i+1].Step {
			t.Errorf("step %d after %d", checks[i+1].Step, checks[i].Step)
		}
	}
	h.expectEmpty(t)
	if len(h.records) > 0 {
		t.Errorf("records %v", h.records)
	}
}

// It goes on after a check that fails, so that a person sees all that stands in the way.
func TestExplainGoesOn(t *testing.T) {
	for _, step := range wholePipeline[:len(wholePipeline)-2] {
		t.Run(step, func(t *testing.T) {
			h := newHouse(t)
			h.refuse[step] = true
			var failed []string
			for _, c := range h.Explain(t.Context(), h.listener, asking, true) {
				if c.Outcome == gateway.Failed {
					failed = append(failed, c.By)
				}
			}
			if !slices.Equal(failed, []string{step}) || len(h.asked) != len(wholePipeline)-2 {
				t.Errorf("failed %v; asked %v", failed, h.asked)
			}
		})
	}
}

func TestExplainWithoutMappers(t *testing.T) {
	h := newHouse(t)
	checks := h.Explain(t.Context(), h.listener, asking, false)
	for _, name := range h.asked {
		if strings.HasSuffix(name, ".mapper") {
			t.Errorf("%s was asked", name)
		}
	}
	places := []string{}
	for _, c := range checks {
		if c.Subject == "mapper" && c.Outcome == gateway.NotAsked {
			places = append(places, c.Place)
		}
	}
	if want := []string{"global", "listener.mux", "station.fpga", "service.console.fpga"}; !slices.Equal(places, want) {
		t.Errorf("mappers not asked at %v, want %v", places, want)
	}
}

func TestExplainUnknownService(t *testing.T) {
	h := newHouse(t)
	unknown := asking
	unknown.Service = "nosuch"
	checks := h.Explain(t.Context(), h.listener, unknown, true)
	if last := checks[len(checks)-1]; last.Step != 4 || last.Outcome != gateway.Failed {
		t.Errorf("the last check is %+v", last)
	}
}

// told is a policy that answers what it is told to.
type told jackfield.Decision

func (d told) Decide(context.Context, *jackfield.Request) jackfield.Decision {
	return jackfield.Decision(d)
}

func TestMapperTerms(t *testing.T) {
	h := newHouse(t)
	service := h.listener.Services["other"]
	service.MaxDuration = time.Hour
	h.listener.Level.Mapper = told{Allow: true, By: "mapper.a", Terms: jackfield.Terms{MaxDuration: 20 * time.Millisecond, Note: "ticket 7"}}
	service.Levels = []gateway.Level{{Mapper: told{Allow: true, By: "mapper.b", Terms: jackfield.Terms{MaxDuration: time.Minute}}}}
	visit, session, err := h.visit(t, "other")
	if err != nil {
		t.Fatal(err)
	}
	defer visit.Leave()
	if end := session.Serve(); end.Cause != jackfield.EndLifetime {
		t.Errorf("ended by %q", end.Cause)
	}
	if want := []string{"mapper.a: ticket 7", "mapper.a: at most 20ms", "mapper.b: at most 1m0s"}; !slices.Equal(h.last.Notes, want) {
		t.Errorf("notes %q, want %q", h.last.Notes, want)
	}
}

func TestMapperMessage(t *testing.T) {
	h := newHouse(t)
	h.listener.Level.Mapper = told{By: "mapper.a", Reason: "not on the list", Message: "ask ann"}
	_, _, err := h.visit(t, "other")
	if refusal := jackfield.AsError(err); refusal.Kind != jackfield.Denied || refusal.Message != "ask ann" {
		t.Errorf("refused with %+v", refusal)
	}
	if h.last.Details != "not on the list" {
		t.Errorf("recorded %q", h.last.Details)
	}
}
