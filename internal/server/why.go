package server

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"jackfield"
	"jackfield/internal/api"
	"jackfield/internal/gateway"
)

// Why explains a request by the rules that are in force now.
func (c control) Why(ctx context.Context, q api.Question) (api.Explanation, error) {
	g := c.generation()
	name, err := jackfield.ParseName(q.Service)
	if err != nil {
		return api.Explanation{}, jackfield.Refuse(jackfield.Invalid, fmt.Sprintf("%q is not the name of a service: %v", q.Service, err), nil)
	}
	listener, err := g.asked(q.Listener, name)
	if err != nil {
		return api.Explanation{}, err
	}
	explanation := api.Explanation{Listener: listener.Name, Service: string(name), Verdict: "allowed"}
	for _, check := range g.gateway.Explain(ctx, listener, g.request(q, listener, name), q.Mappers) {
		explanation.Checks = append(explanation.Checks, api.Check{
			Step: check.Step, Place: check.Place, Subject: check.Subject, Outcome: string(check.Outcome), By: check.By, Reason: check.Reason,
		})
		switch {
		case check.Outcome == gateway.Failed:
			explanation.Verdict = "denied"
		case check.Outcome == gateway.NotAsked && explanation.Verdict == "allowed":
			explanation.Verdict = "undecided"
		}
	}
	return explanation, nil
}

// asked returns the listener of that name; without a name, the one that publishes the service.
func (g *generation) asked(name string, service jackfield.Name) (*gateway.Listener, error) {
	if name != "" {
		if l := g.listeners[strings.ToLower(name)]; l != nil {
			return l, nil
		}
		return nil, jackfield.Refuse(jackfield.NotFound, fmt.Sprintf("there is no listener %q; there are: %s",
			name, strings.Join(slices.Sorted(maps.Keys(g.listeners)), ", ")), nil)
	}
	var publishing []string
	for name, l := range g.listeners {
		if l.Service(service) != nil {
			publishing = append(publishing, name)
		}
	}
	slices.Sort(publishing)
	switch len(publishing) {
	case 0:
		return nil, jackfield.Refuse(jackfield.NotFound, fmt.Sprintf("no listener publishes a service %q", service), nil)
	case 1:
		return g.listeners[publishing[0]], nil
	}
	return nil, jackfield.Refuse(jackfield.Invalid, fmt.Sprintf("several listeners publish %q, say which one is meant: %s",
		service, strings.Join(publishing, ", ")), nil)
}

// request is the request that the question is about. What proved the user is not asked about: no rule looks at it.
func (g *generation) request(q api.Question, l *gateway.Listener, service jackfield.Name) jackfield.Request {
	r := jackfield.Request{
		ID:       "why",
		Time:     q.Time,
		Listener: l.Name,
		Protocol: l.Protocol,
		Source:   netip.AddrPortFrom(q.Source.Unmap(), 0),
		Identity: jackfield.Identity{User: q.User, Groups: q.Groups, Proof: jackfield.ProofNone},
		Service:  service,
	}
	if r.Time.IsZero() {
		r.Time = time.Now()
	}
	if q.User != "" {
		r.Identity.Proof = jackfield.ProofToken
	}
	if user, err := g.state.directory.User(q.User); err == nil && q.Groups == nil {
		r.Identity.Groups = user.Groups
	}
	return r
}
