package identity

import (
	"context"
	"reflect"
)

// An Event tells that a user or a token is not as it was.
type Event struct {
	Kind  EventKind
	User  string // whom it is about, or whose token
	Token string // its ID; empty if it is about a user
}

// EventKind is what happened.
type EventKind string

// What can happen.
const (
	UserAdded    EventKind = "user.added"
	UserChanged  EventKind = "user.changed" // groups are kept with the user
	UserRemoved  EventKind = "user.removed"
	TokenAdded   EventKind = "token.added"
	TokenRemoved EventKind = "token.removed"
)

// MaxBehind is how many events a reader of Watch may be behind.
const MaxBehind = 1024

// Watch tells what happens from now on, in order. The channel is closed when ctx ends, when the directory is closed, and when its
// reader is too far behind: then the reader watches again, and reads the lists anew.
func (d *Directory) Watch(ctx context.Context) <-chan Event {
	events := make(chan Event, MaxBehind)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.readers[events] = struct{}{}
	context.AfterFunc(ctx, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.dismiss(events)
	})
	return events
}

// dismiss closes a channel of Watch, once. The lock is held.
func (d *Directory) dismiss(events chan Event) {
	if _, reading := d.readers[events]; reading {
		delete(d.readers, events)
		close(events)
	}
}

// tell tells the readers. The lock is held.
func (d *Directory) tell(e Event) {
	for events := range d.readers {
		select {
		case events <- e:
		default:
			d.dismiss(events)
		}
	}
}

func (d *Directory) tellUser(before, after *user) {
	switch {
	case before == nil && after == nil:
	case before == nil:
		d.tell(Event{Kind: UserAdded, User: after.Name})
	case after == nil:
		d.tell(Event{Kind: UserRemoved, User: before.Name})
	case !reflect.DeepEqual(before.User, after.User):
		d.tell(Event{Kind: UserChanged, User: after.Name})
	}
}

func (d *Directory) tellToken(before, after *token) {
	switch {
	case before == nil && after != nil:
		d.tell(Event{Kind: TokenAdded, User: after.User, Token: after.ID})
	case before != nil && after == nil:
		d.tell(Event{Kind: TokenRemoved, User: before.User, Token: before.ID})
	}
}
