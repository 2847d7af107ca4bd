package api

import (
	"context"
	"slices"
	"time"

	"jackfield"
	"jackfield/internal/identity"
)

func followEvents(c *call) (why string, err error) {
	hub := c.server.Hub
	last := c.r.Header.Get("Last-Event-ID")
	subscriber, missed, complete := hub.subscribe(last)
	defer hub.unsubscribe(subscriber)
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	return c.stream(cancel, func(send func(frame) bool) {
		if !complete && !send(frame{event: frameReset, data: StreamEnd{"what came since then is not known any more"}}) {
			return
		}
		for _, e := range missed {
			if c.maySee(e.Event) && !send(c.frameOf(e)) {
				return
			}
		}
		for {
			select {
			case e, more := <-subscriber.events:
				if !more {
					send(frame{event: frameReset, data: StreamEnd{tooSlow}, last: tooSlow})
					return
				}
				if c.maySee(e.Event) && !send(c.frameOf(e)) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	})
}

const tooSlow = "events are missing: too many came at once, or they were not taken fast enough"

func (c *call) frameOf(e numberedEvent) frame {
	return frame{id: c.server.Hub.id(e.number), event: string(e.Type), data: e.Event}
}

// maySee keeps to themselves what others do.
func (c *call) maySee(e Event) bool {
	switch {
	case c.who.Admin || c.owns(e.User):
		return true
	case e.Type != ServiceChanged:
		return false
	}
	seen := c.server.Services.Services(c.ctx, Viewer{Identity: c.who.Identity, Source: c.record.Source.Addr()})
	return slices.ContainsFunc(seen, func(s Service) bool { return s.Name == e.Service })
}

// Run publishes what changes in the directory, by whichever server, until ctx ends.
func (s *Server) Run(ctx context.Context) {
	for ctx.Err() == nil {
		changes := s.Directory.Watch(ctx)
		groups := make(map[string][]string) // of each user
		for _, u := range s.Directory.Users() {
			groups[u.Name] = u.Groups
		}
		for e := range changes {
			s.publish(e, groups)
		}
		if ctx.Err() != nil {
			return
		}
		s.Hub.Forget() // the watch was too slow, or the directory is closed
		select {
		case <-ctx.Done():
		case <-time.After(watchPause):
		}
	}
}

// watchPause keeps a directory that cannot be watched from being asked all the time.
const watchPause = time.Second

var changeWords = map[identity.EventKind]string{
	identity.UserAdded:    "added",
	identity.UserChanged:  "changed",
	identity.UserRemoved:  "removed",
	identity.TokenAdded:   "added",
	identity.TokenRemoved: "revoked",
}

func (s *Server) publish(e identity.Event, groups map[string][]string) {
	if e.Token != "" {
		s.Hub.Publish(Event{Type: TokenChanged, Subject: e.Token, User: e.User, Detail: changeWords[e.Kind]})
		return
	}
	s.Hub.Publish(Event{Type: UserChanged, Subject: e.User, User: e.User, Detail: changeWords[e.Kind]})
	before := groups[e.User]
	delete(groups, e.User)
	if u, err := s.Directory.User(e.User); err == nil {
		groups[e.User] = u.Groups
	}
	for _, g := range before {
		if !slices.Contains(groups[e.User], g) {
			s.Hub.Publish(Event{Type: GroupChanged, Subject: g, User: e.User, Detail: "left"})
		}
	}
	for _, g := range groups[e.User] {
		if !slices.Contains(before, g) {
			s.Hub.Publish(Event{Type: GroupChanged, Subject: g, User: e.User, Detail: "joined"})
		}
	}
}

// Recorder publishes the opening and the end of sessions; a device's link is none. It refuses none.
func (h *Hub) Recorder() jackfield.Recorder { return recorder{h} }

type recorder struct{ hub *Hub }

func (r recorder) Opened(record *jackfield.Record) error {
	if record.Service == "" {
		return nil
	}
	r.hub.Publish(Event{Type: SessionOpened, Subject: record.ID, User: record.Identity.User, Service: record.Service})
	return nil
}

func (r recorder) Closed(record *jackfield.Record) {
	if record.Service == "" {
		return
	}
	r.hub.Publish(Event{
		Type: SessionClosed, Subject: record.ID, User: record.Identity.User, Service: record.Service, Detail: record.End.Cause,
	})
}

func (recorder) Refused(*jackfield.Record) {}
