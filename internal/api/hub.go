package api

import (
	"crypto/rand"
	"strconv"
	"strings"
	"sync"
	"time"

	"jackfield"
)

// How much a hub keeps.
const (
	eventsKept   = 4096 // for those who come back with the id of the last event that they have seen
	eventsQueued = 256  // for one subscriber that is slower than the events; beyond, it is cut off and told so
)

// EventType says what has changed.
type EventType string

// The types of events.
const (
	SessionOpened         EventType = "session.opened"         // Subject is the session's id; Service and User are its own
	SessionClosed         EventType = "session.closed"         // as above; Detail is why
	ServiceChanged        EventType = "service.changed"        // Subject and Service are its name; Detail is its new state
	DeviceConnected       EventType = "device.connected"       // Subject is the device's name
	DeviceGone            EventType = "device.gone"            // as above
	AgentConnected        EventType = "agent.connected"        // Subject is the agent's name, User its owner
	AgentGone             EventType = "agent.gone"             // as above; Detail is why
	AgentChanged          EventType = "agent.changed"          // as above; Detail: enrolled, joined, changed, removed, or "renamed to" its new name
	UserChanged           EventType = "user.changed"           // Subject and User are the name; Detail: added, changed or removed
	GroupChanged          EventType = "group.changed"          // Subject is the group, User the member who "joined" or "left" (Detail)
	TokenChanged          EventType = "token.changed"          // Subject is the id, User whose it is; Detail: added or revoked
	CertificateIssued     EventType = "certificate.issued"     // Subject is the serial number, User whose it is
	CertificateRevoked    EventType = "certificate.revoked"    // Subject is the serial number
	AuthorityRotated      EventType = "authority.rotated"      // Subject is the fingerprint of the new authority
	ConfigurationReloaded EventType = "configuration.reloaded" // Subject is the generation
)

// eventTypes are all types of events.
var eventTypes = []EventType{
	SessionOpened, SessionClosed, ServiceChanged, DeviceConnected, DeviceGone, AgentConnected, AgentGone, AgentChanged,
	UserChanged, GroupChanged, TokenChanged, CertificateIssued, CertificateRevoked, AuthorityRotated, ConfigurationReloaded,
}

// An Event is a change that those who follow events are told. Administrators see all of them; others see those that carry
// their name as User, and changes of the services that they may see.
type Event struct {
	Type    EventType      `json:"type" doc:"what has changed"`
	Time    time.Time      `json:"time" doc:"when"`
	Subject string         `json:"subject" doc:"the id or the name of what has changed"`
	User    string         `json:"user,omitempty" doc:"whom it concerns"`
	Service jackfield.Name `json:"service,omitempty" doc:"the service that it concerns"`
	Detail  string         `json:"detail,omitempty" doc:"such as why a session ended"`
}

// A Hub hands events to all who follow them. Its zero value is not ready; NewHub makes one.
//
// The id of an event is the hub's own mark and a number, so that an id of another run of the server is known for what it is.
type Hub struct {
	mark          string
	keep, enqueue int // eventsKept and eventsQueued

	mu          sync.Mutex
	kept        []numberedEvent // guarded by mu: the newest, in order
	last        uint64          // guarded by mu: the number of the newest
	subscribers map[*subscriber]struct{}
}

// A numberedEvent is an event at its place.
type numberedEvent struct {
	Event
	number uint64
}

// A subscriber is one who follows. Its channel is closed when it was too slow.
type subscriber struct{ events chan numberedEvent }

// NewHub returns a hub without events.
func NewHub() *Hub { return newHub(eventsKept, eventsQueued) }

func newHub(keep, enqueue int) *Hub {
	return &Hub{
		mark: strings.ToLower(rand.Text()[:8]), keep: keep, enqueue: enqueue, subscribers: make(map[*subscriber]struct{}),
	}
}

// Publish tells everybody who follows. It never waits. Without a time, it is now.
func (h *Hub) Publish(e Event) {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e.Time = e.Time.UTC()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last++
	numbered := numberedEvent{e, h.last}
	if len(h.kept) == 2*h.keep {
		h.kept = append(h.kept[:0], h.kept[h.keep:]...)
	}
	h.kept = append(h.kept, numbered)
	for s := range h.subscribers {
		select {
		case s.events <- numbered:
		default:
			h.drop(s)
		}
	}
}

// subscribe begins after the event with the id, or now if that is empty. Missed are the events since then; complete says
// that these are all: the id was this hub's, and nothing after it is forgotten.
func (h *Hub) subscribe(after string) (s *subscriber, missed []numberedEvent, complete bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s = &subscriber{make(chan numberedEvent, h.enqueue)}
	h.subscribers[s] = struct{}{}
	if after == "" {
		return s, nil, true
	}
	number, known := h.number(after)
	if !known || h.last-number > uint64(len(h.kept)) {
		return s, nil, false
	}
	return s, append(missed, h.kept[len(h.kept)-int(h.last-number):]...), true
}

func (h *Hub) unsubscribe(s *subscriber) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drop(s)
}

// drop is called with mu held.
func (h *Hub) drop(s *subscriber) {
	if _, there := h.subscribers[s]; there {
		delete(h.subscribers, s)
		close(s.events)
	}
}

func (h *Hub) id(number uint64) string { return h.mark + "-" + strconv.FormatUint(number, 10) }

// Forget makes all who follow begin anew, because events are missing.
func (h *Hub) Forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last++
	h.kept = nil
	for s := range h.subscribers {
		h.drop(s)
	}
}

// number is called with mu held.
func (h *Hub) number(id string) (number uint64, known bool) {
	mark, digits, _ := strings.Cut(id, "-")
	number, err := strconv.ParseUint(digits, 10, 64)
	return number, err == nil && mark == h.mark && number <= h.last
}
