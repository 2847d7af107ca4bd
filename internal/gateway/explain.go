package gateway

import (
	"context"
	"strings"

	"jackfield"
)

// An Outcome is what a check of the pipeline made of a request.
type Outcome string

// The outcomes of checks.
const (
	Passed     Outcome = "passed"
	Failed     Outcome = "failed"
	Undecided  Outcome = "undecided"      // the address alone does not decide: asked again when more is known
	Nothing    Outcome = "not configured" // there is nothing to ask
	NotAsked   Outcome = "not asked"      // it would start a program, or needs what an earlier check did not find
	NotLooking Outcome = "not known"      // the gate cannot be looked into
)

// A Check is one question of the pipeline and its answer.
type Check struct {
	Step    int    // of the pipeline
	Place   string // whose question it is: "global", "listener.mux", "station.fpga-1", "service.web"
	Subject string // "address", "rules", "limits", "name", "lease", "mapper" or "route"
	Outcome Outcome
	By      string // who decided, such as "acl.global[2]"; empty: nobody
	Reason  string
}

// Explain asks every check that a request would meet, in the pipeline's order, and goes on after one that fails. It takes no
// place and opens nothing. The mappers, which may start programs, are asked only if that is wanted. The request's service
// need not exist.
func (g *Gateway) Explain(ctx context.Context, l *Listener, asked jackfield.Request, mappers bool) []Check {
	e := &explanation{ctx: ctx, asked: asked, mappers: mappers}
	outer := []placed{{"global", g.Global}, {"listener." + l.Name, l.Level}}
	decided := e.early(outer)
	for _, at := range outer {
		e.gate(1, at.place, "limits", at.level.Limit)
	}
	e.rest(outer, decided)
	service := l.Service(asked.Service)
	if service == nil {
		e.add(Check{4, "listener." + l.Name, "name", Failed, "", "the listener publishes no service of this name"})
		return e.checks
	}
	e.add(Check{4, "listener." + l.Name, "name", Passed, "", "reached by " + service.Route.String()})
	describeRoute(&e.asked, service.Route)
	e.service(outer, service)
	return e.checks
}

// A placed is a level and where it stands.
type placed struct {
	place string
	level Level
}

// placedLevels are a service's levels with their places: the last one is its own, one before it the station's.
func (s *Service) placedLevels() []placed {
	var levels []placed
	for i, level := range s.Levels {
		place := "service." + string(s.Name)
		if i < len(s.Levels)-1 {
			place = "station." + s.Name.Station()
		}
		levels = append(levels, placed{place, level})
	}
	return levels
}

type explanation struct {
	ctx     context.Context
	asked   jackfield.Request
	mappers bool
	checks  []Check
}

func (e *explanation) add(c Check) { e.checks = append(e.checks, c) }

// Step 1, the ACLs' part.
func (e *explanation) early(outer []placed) (decided []bool) {
	decided = make([]bool, len(outer))
	for i, at := range outer {
		early, able := at.level.ACL.(jackfield.EarlyPolicy)
		switch {
		case at.level.ACL == nil:
			e.add(Check{1, at.place, "rules", Nothing, "", ""})
			decided[i] = true
		case !able:
			e.add(Check{1, at.place, "address", Undecided, "", "asked when more is known"})
		default:
			var d jackfield.Decision
			if d, decided[i] = early.DecideEarly(&e.asked); !decided[i] {
				e.add(Check{1, at.place, "address", Undecided, "", "a rule for this address asks for more"})
				continue
			}
			e.decision(1, at.place, "address", d)
		}
	}
	return decided
}

// Step 3.
func (e *explanation) rest(outer []placed, decided []bool) {
	for i, at := range outer {
		if !decided[i] {
			e.policy(3, at.place, "rules", at.level.ACL)
		}
	}
}

// Steps 5, 6, 7 and 9.
func (e *explanation) service(outer []placed, s *Service) {
	levels := s.placedLevels()
	for _, at := range levels {
		e.policy(5, at.place, "rules", at.level.ACL)
	}
	for _, at := range levels {
		e.gate(6, at.place, "limits", at.level.Limit)
	}
	if station := s.Name.Station(); station != "" {
		e.gate(7, "station."+station, "lease", s.Lease)
	}
	for _, at := range append(outer, levels...) {
		e.mapper(at)
	}
	e.route("service."+string(s.Name), s.Route)
}

// Step 10, as far as it can be told without opening.
func (e *explanation) route(place string, r jackfield.Route) {
	ready, able := r.(interface{ Ready() error })
	if !able {
		return
	}
	if err := ready.Ready(); err != nil {
		e.add(Check{10, place, "route", Failed, "", err.Error()})
		return
	}
	e.add(Check{10, place, "route", Passed, "", ""})
}

func (e *explanation) mapper(at placed) {
	if at.level.Mapper != nil && !e.mappers {
		e.add(Check{9, at.place, "mapper", NotAsked, "", "a program would be asked"})
		return
	}
	e.policy(9, at.place, "mapper", at.level.Mapper)
}

// A ruleList is a policy that can say of each of its rules why it did not match; empty if one did.
type ruleList interface {
	Misses(*jackfield.Request) string
}

func (e *explanation) policy(step int, place, subject string, p jackfield.Policy) {
	if p == nil {
		e.add(Check{step, place, subject, Nothing, "", ""})
		return
	}
	d := p.Decide(e.ctx, &e.asked)
	if rules, able := p.(ruleList); able && !d.Allow {
		if missed := rules.Misses(&e.asked); missed != "" {
			d.Reason += "; what did not match: " + missed
		}
	}
	e.decision(step, place, subject, d)
}

func (e *explanation) decision(step int, place, subject string, d jackfield.Decision) {
	outcome := Failed
	if d.Allow {
		outcome = Passed
	}
	reasons := []string{d.Reason}
	if d.Terms.Note != "" && d.Terms.Note != d.Reason {
		reasons = append(reasons, d.Terms.Note)
	}
	e.add(Check{step, place, subject, outcome, d.By, strings.Join(reasons, "; ")})
}

func (e *explanation) gate(step int, place, subject string, gate jackfield.Gate) {
	open, able := gate.(jackfield.OpenGate)
	switch {
	case gate == nil:
		e.add(Check{step, place, subject, Nothing, "", ""})
	case !able:
		e.add(Check{step, place, subject, NotLooking, "", ""})
	default:
		err := open.Check(&e.asked)
		if err == nil {
			e.add(Check{step, place, subject, Passed, "", ""})
			return
		}
		refusal := jackfield.AsError(err)
		e.add(Check{step, place, subject, Failed, refusal.By, refusal.Error()})
	}
}
