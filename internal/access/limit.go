package access

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"jackfield"
)

// Limits is what one level of the configuration allows. Zero values are no limit.
type Limits struct {
	MaxSessions          int
	MaxSessionsPerSource int
	Rate                 Rate // of new sessions
	RatePerSource        Rate
	Message              string // for a client that is refused by any of these; empty: a default sentence
}

const defaultMessage = "too many sessions, try again later"

// A Limit is a gate that counts the sessions inside and the rate at which they open. A refused session takes nothing: no
// place and no part of any rate. A rate is a token bucket: after a pause, one period's sessions may open at once.
//
// A source is an IPv4 address or an IPv6 /64: whoever has one IPv6 address usually has all of that network.
//
// At most MaxSources sources are remembered. A source is forgotten when its last session ended and its bucket is full
// again. When there is no room, the source that has been idle longest is forgotten early, and with it the part of the rate
// it had used; when every source has a session open, new sources are refused.
//
// A Limit outlives configurations: Configure changes what it allows, and the sessions inside stay counted.
type Limit struct {
	name string

	mu       sync.Mutex // guards what follows, leave functions included
	limits   Limits
	sessions int
	bucket   *rate.Limiter
	sources  *sources // nil: nothing is counted per source
}

var _ jackfield.OpenGate = (*Limit)(nil)

// NewLimit makes a gate. The name says where the limits stand, such as "global" or "service.console.fpga-1"; refusals are
// signed "limit.", the name and the limit, as in "limit.global.max_sessions".
func NewLimit(name string, l Limits) *Limit {
	limit := &Limit{name: "limit." + name}
	limit.Configure(l)
	return limit
}

// Configure changes what is allowed from now on. Sessions that are inside stay, be they more than that. A rate that has
// changed starts anew; so does counting by source where nothing was limited per source before.
func (l *Limit) Configure(next Limits) {
	if next.Message == "" {
		next.Message = defaultMessage
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if next.Rate != l.limits.Rate {
		l.bucket = next.Rate.bucket()
	}
	switch {
	case next.MaxSessionsPerSource == 0 && next.RatePerSource == Rate{}:
		l.sources = nil
	case l.sources == nil:
		l.sources = newSources(next.RatePerSource)
	case next.RatePerSource != l.limits.RatePerSource:
		l.sources.setRate(next.RatePerSource)
	}
	l.limits = next
}

// Enter takes a place, or refuses with kind Limited. Calling leave again does nothing.
func (l *Limit) Enter(_ context.Context, r *jackfield.Request) (leave func(), err error) {
	now := time.Now()
	key := jackfield.SourceOf(r.Source.Addr())

	l.mu.Lock()
	defer l.mu.Unlock()
	if refusal := l.check(key, now); refusal != nil {
		return nil, refusal
	}
	l.sessions++
	takeToken(l.bucket, now)
	if l.sources != nil {
		l.sources.enter(key, now)
	}
	return l.leaver(l.sources, key), nil
}

// Check returns what Enter would refuse the request with at this moment. It takes nothing.
func (l *Limit) Check(r *jackfield.Request) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.check(jackfield.SourceOf(r.Source.Addr()), time.Now())
}

// check says which limit, if any, keeps the source out. It takes nothing.
func (l *Limit) check(key source, now time.Time) error {
	if l.limits.MaxSessions > 0 && l.sessions >= l.limits.MaxSessions {
		return l.refuse("max_sessions", errMaxSessions)
	}
	if !hasToken(l.bucket, now) {
		return l.refuse("max_rate", errMaxRate)
	}
	if l.sources == nil {
		return nil
	}
	sessions, bucket := l.sources.state(key)
	switch {
	case l.limits.MaxSessionsPerSource > 0 && sessions >= l.limits.MaxSessionsPerSource:
		return l.refuse("max_sessions_per_source", errMaxSessions)
	case !hasToken(bucket, now):
		return l.refuse("max_rate_per_source", errMaxRate)
	case !l.sources.room(key, now):
		return l.refuse("sources", errMaxSources)
	}
	return nil
}

var (
	errMaxSessions = errors.New("as many sessions are open as are allowed")
	errMaxRate     = errors.New("sessions open faster than is allowed")
	errMaxSources  = fmt.Errorf("%d sources have sessions open, and no more are counted", MaxSources)
)

func (l *Limit) refuse(limit string, details error) error {
	refusal := jackfield.Refuse(jackfield.Limited, l.limits.Message, details)
	refusal.By = l.name + "." + limit
	return refusal
}

// leaver gives back a place, with those sources among which the session was counted.
func (l *Limit) leaver(counted *sources, key source) func() {
	left := false
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if left {
			return
		}
		left = true
		l.sessions--
		if counted != nil {
			counted.leave(key, time.Now())
		}
	}
}
