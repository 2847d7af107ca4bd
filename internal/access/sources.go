package access

import (
	"container/list"
	"net/netip"
	"time"

	"golang.org/x/time/rate"
)

// MaxSources is how many sources one Limit remembers; about 20 MB when all are in use.
const MaxSources = 1 << 16

// source is who is counted as one: see jackfield.SourceOf.
type source = netip.Prefix

// sources counts by source. The Limit's lock guards it.
type sources struct {
	rate  Rate
	max   int
	known map[source]*usage

	// idle lists the keys of those without a session, longest idle first. Their buckets are full one period after they
	// became idle, at the latest: then they are forgotten.
	idle *list.List
}

type usage struct {
	sessions  int
	bucket    *rate.Limiter // nil: no rate per source
	idleSince time.Time
	idle      *list.Element // nil while a session is open
}

func newSources(r Rate) *sources {
	return &sources{rate: r, max: MaxSources, known: map[source]*usage{}, idle: list.New()}
}

// setRate changes the rate per source. Every source begins with a full bucket.
func (s *sources) setRate(r Rate) {
	s.rate = r
	for _, u := range s.known {
		u.bucket = r.bucket()
	}
}

// state returns what a source uses; of one that is not known, nothing.
func (s *sources) state(key source) (sessions int, bucket *rate.Limiter) {
	u := s.known[key]
	if u == nil {
		return 0, nil
	}
	return u.sessions, u.bucket
}

// room says whether the source can be remembered. It forgets some that need not be remembered any more: two for each that
// comes, so the table shrinks without ever being searched.
func (s *sources) room(key source, now time.Time) bool {
	for range 2 {
		if oldest := s.oldestIdle(); oldest != nil && now.Sub(oldest.idleSince) >= s.rate.Period {
			s.forget(oldest)
		}
	}
	return s.known[key] != nil || len(s.known) < s.max || s.idle.Len() > 0
}

func (s *sources) enter(key source, now time.Time) {
	u := s.known[key]
	if u == nil {
		if len(s.known) >= s.max {
			s.forget(s.oldestIdle())
		}
		u = &usage{bucket: s.rate.bucket()}
		s.known[key] = u
	}
	if u.idle != nil {
		s.idle.Remove(u.idle)
		u.idle = nil
	}
	u.sessions++
	takeToken(u.bucket, now)
}

func (s *sources) leave(key source, now time.Time) {
	u := s.known[key]
	u.sessions--
	switch {
	case u.sessions > 0:
	case u.bucket == nil:
		delete(s.known, key)
	default:
		u.idleSince = now
		u.idle = s.idle.PushBack(key)
	}
}

func (s *sources) oldestIdle() *usage {
	front := s.idle.Front()
	if front == nil {
		return nil
	}
	return s.known[front.Value.(source)]
}

func (s *sources) forget(u *usage) {
	delete(s.known, s.idle.Remove(u.idle).(source))
}
