package api

import (
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode"

	"jackfield"
)

// sessionKey is the order of sessions: the oldest first.
func sessionKey(s Session) string {
	return s.Started.UTC().Format("2006-01-02T15:04:05.000000000Z") + " " + s.ID
}

// sessions are those that the caller may see, with their rates.
func (c *call) sessions() []Session {
	all := c.server.Sessions.List()
	rate := c.server.rates.measure(time.Now(), all)
	var seen []Session
	for _, s := range all {
		if !c.who.Admin && !c.owns(s.User) {
			continue
		}
		s.Rate = rate(s)
		if !c.who.Admin {
			s.Route = ""
		}
		seen = append(seen, s)
	}
	return seen
}

func listSessions(c *call) (any, error) {
	part, next, err := paginate(c, c.sessions(), sessionKey)
	return SessionList{part, next}, err
}

func getSession(c *call) (any, error) {
	id := c.r.PathValue("id")
	for _, s := range c.sessions() {
		if s.ID == id {
			return s, nil
		}
	}
	return nil, noSession(id)
}

func noSession(id string) error { return notFound(fmt.Sprintf("there is no session %q", clip(id))) }

// The causes in the audit records of sessions that were ended here; a reason that was given follows.
const (
	disconnectedByAdmin = "disconnected by admin"
	disconnectedByUser  = "disconnected by user"
)

const maxReason = 200 // bytes

func deleteSession(c *call) (any, error) {
	s, err := getSession(c)
	if err != nil {
		return nil, err
	}
	session := s.(Session)
	why := disconnectedByUser
	if !c.owns(session.User) {
		why = disconnectedByAdmin
	}
	reason, err := c.reason()
	if err != nil {
		return nil, err
	}
	if reason != "" {
		why += ": " + reason
	}
	if !c.server.Sessions.Disconnect(session.ID, why) {
		return nil, noSession(session.ID)
	}
	return Disconnection{session.ID}, nil
}

// reason is the one that the caller has given: one short line.
func (c *call) reason() (string, error) {
	reason := c.query("reason")
	unprintable := func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }
	if len(reason) > maxReason || strings.ContainsFunc(reason, unprintable) {
		return "", jackfield.Refuse(jackfield.Invalid, fmt.Sprintf("a reason is one line of at most %d bytes", maxReason), nil)
	}
	return reason, nil
}

// How rates are measured.
const (
	sampleAge    = 5 * time.Second // that of the newest sample when another one is taken
	sampleMaxAge = time.Minute     // of one that says nothing of "the last seconds" any more
	shortestTime = time.Second     // of which a rate is told
)

// rates tells how fast the bytes of sessions come. It looks at the sessions when somebody asks, and takes two samples of them
// along: what is told is the mean since the older one.
type rates struct {
	mu            sync.Mutex
	older, newest sample
}

// A sample is what the sessions had carried at a moment.
type sample struct {
	at    time.Time
	bytes map[string]jackfield.Transfer // by session
}

// measure returns what tells the rate of one of the sessions; nil: it is not known yet.
func (r *rates) measure(now time.Time, all []Session) func(Session) *Rate {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.newest.at) >= sampleAge {
		r.older, r.newest = r.newest, take(now, all)
	}
	since := r.older
	if now.Sub(since.at) > sampleMaxAge {
		since = r.newest
	}
	return func(s Session) *Rate { return since.rate(now, s) }
}

func take(now time.Time, all []Session) sample {
	taken := sample{now, make(map[string]jackfield.Transfer, len(all))}
	for _, s := range all {
		taken.bytes[s.ID] = jackfield.Transfer{FromClient: s.BytesFromClient, FromService: s.BytesFromService}
	}
	return taken
}

// rate counts from the sample, or from the start of a session that is younger.
func (t sample) rate(now time.Time, s Session) *Rate {
	before, there := t.bytes[s.ID]
	since := t.at
	if !there {
		since = s.Started
	}
	span := now.Sub(since)
	if since.Before(t.at) || span < shortestTime {
		return nil
	}
	return &Rate{
		FromClient:  float64(s.BytesFromClient-before.FromClient) / span.Seconds(),
		FromService: float64(s.BytesFromService-before.FromService) / span.Seconds(),
	}
}
