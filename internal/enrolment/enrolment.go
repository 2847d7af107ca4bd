// Package enrolment keeps, in the store, the native agents that were enrolled: their names, owners and certificates, what they may
// offer, and the one-time tokens by which they join.
//
//	roll, err := enrolment.Open(ctx, st, log)
//	if err != nil {
//		return err
//	}
//	defer roll.Close()
//
//	token, agent, err := roll.Create(ctx, enrolment.New{Name: "edge-7", Offers: &offers, Authority: fingerprint})
//	agent, err = roll.Find(token)                        // who joins with it; then a certificate is signed for agent.Name
//	agent, void, err := roll.Join(ctx, token, serial)    // the token is used up
//	void, err = roll.Arrive(ctx, serial)                 // at each new link
//	agent, ok := roll.Holder(serial)                     // from memory: whose certificate that is
//
// Rules:
//   - A token is good once, until it expires. Of those who use it at the same time, by whichever servers of a cluster, one joins.
//     Its secret is shown when it is made, and kept nowhere: what is stored is a hash.
//   - An agent is known by the serial number of its certificate. So it keeps its certificate when it is renamed, and an agent
//     that was removed or enrolled anew has none, whatever its name.
//   - A renewed certificate and the one before it are both good until the agent comes with the renewed one: an answer that was lost
//     locks nobody out.
//   - A change is in force on the server where it was made when its call returns, and on every other one within a second while
//     that reaches the store. While the store cannot be reached, what was known last holds, and nothing can be changed.
//
// Errors are *jackfield.Error: Unauthenticated for a token that is not good, NotFound, Invalid, Unavailable, and Busy for what
// contradicts the present state, such as a name that is taken.
//
// The package signs nothing, and revokes nothing: that is internal/authority's and its ledger's, with the serial numbers that the
// package calls void. It knows no links.
package enrolment

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"jackfield"
	"jackfield/internal/store"
)

// An Agent is one that was enrolled.
type Agent struct {
	Name      string   // a DNS label in lower case
	ID        string   // stays when the name changes; another agent of the same name, later, has another one
	Offers    []string // patterns of the names of services that it may offer, in lower case
	Owner     Owner
	Created   time.Time
	CreatedBy string // the user who enrolled it; may be empty

	Enrolled time.Time // when it last joined; zero: never
	Serial   string    // of its certificate; empty before it has joined
	Renewed  string    // serial number of a renewed certificate with which it has not come yet; may be empty
	Draining bool      // it was told to end when its streams have, and has not come again since

	Waiting time.Time // until when its token is good; zero: it has none
}

// An Owner is a user. Another user of the same name, later, has another ID.
type Owner struct {
	User string `json:"user"`
	ID   string `json:"id"`
}

// A Roll is a copy of what the store has. It may be used by many goroutines at once.
type Roll struct {
	store store.Store
	log   *slog.Logger
	stop  context.CancelFunc
	done  <-chan struct{}

	mu       sync.Mutex // guards what follows
	entries  map[string]entry
	holders  map[string]string // names, by the serial numbers of their certificates
	watchers map[chan struct{}]struct{}
}

// An entry is what the store has under a name, as far as is known.
type entry struct {
	record
	revision uint64
	gone     bool // it was removed here, and the store's watch has not told so yet
}

// Open reads the roll and follows it until Close.
func Open(ctx context.Context, s store.Store, log *slog.Logger) (*Roll, error) {
	following, stop := context.WithCancel(context.Background())
	unfollow := context.AfterFunc(ctx, stop) // while it is being read
	r := &Roll{
		store: s, log: log, stop: stop,
		entries: make(map[string]entry), holders: make(map[string]string), watchers: make(map[chan struct{}]struct{}),
	}
	done, err := store.Follow(following, s, prefix, log, r.apply)
	if err != nil {
		stop()
		return nil, fmt.Errorf("agents: %w", err)
	}
	unfollow()
	r.done = done
	return r, nil
}

// Close stops following the store.
func (r *Roll) Close() {
	r.stop()
	<-r.done
}

// apply is told each change. A record that cannot be read lets nobody in, but keeps its name until it is removed.
func (r *Roll) apply(c store.Change) {
	name := strings.TrimPrefix(c.Key, prefix)
	var next record
	if !c.Deleted {
		var err error
		if next, err = decode(name, c.Value); err != nil {
			r.log.Error("the store's entry of an agent is damaged: the agent is locked out, enrol it again", "agent", name, "error", err)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	before, known := r.entries[name]
	switch {
	case c.Deleted && (c.Revision == 0 || c.Revision >= before.revision):
		r.drop(name)
	case !c.Deleted && (!known || c.Revision > before.revision):
		r.put(name, entry{record: next, revision: c.Revision})
	}
}

// put takes over an entry. The lock is held.
func (r *Roll) put(name string, e entry) {
	r.drop(name)
	r.entries[name] = e
	if e.gone || r.superseded(e) {
		return
	}
	for _, serial := range e.serials() {
		r.holders[serial] = name
	}
}

// drop forgets an entry, and tells those who watch. The lock is held.
func (r *Roll) drop(name string) {
	before := r.entries[name]
	delete(r.entries, name)
	for _, serial := range before.serials() {
		if r.holders[serial] == name {
			delete(r.holders, serial)
		}
	}
	for changed := range r.watchers {
		select {
		case changed <- struct{}{}:
		default: // it will look soon
		}
	}
}

// superseded says whether an agent has got another name, and its record under the old one was not removed yet. The lock is held.
func (r *Roll) superseded(e entry) bool {
	if e.NewName == "" {
		return false
	}
	successor, there := r.entries[e.NewName]
	return there && !successor.gone && successor.ID == e.ID
}

// List returns the agents, by name.
func (r *Roll) List() []Agent {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]Agent, 0, len(r.entries))
	for _, e := range r.entries {
		if !e.gone && !r.superseded(e) {
			list = append(list, e.agent())
		}
	}
	slices.SortFunc(list, func(a, b Agent) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// Get returns the agent of that name, which is compared without case. A refusal NotFound: there is none.
func (r *Roll) Get(name string) (Agent, error) {
	e, err := r.entry(strings.ToLower(name))
	return e.agent(), err
}

func (r *Roll) entry(name string) (entry, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, there := r.entries[name]
	if !there || e.gone || r.superseded(e) {
		return entry{}, noSuchAgent()
	}
	return e, nil
}

// Holder returns the agent that a certificate is of: its present one, or a renewed one with which it has not come yet. It asks
// nobody, and is meant for handshakes.
func (r *Roll) Holder(serial string) (Agent, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	name, there := r.holders[serial]
	if !there {
		return Agent{}, false
	}
	e := r.entries[name]
	return e.agent(), true
}

// Watch has f called, in a goroutine of its own, at once and after agents have changed, until ctx ends. Calls may be fewer than
// changes.
func (r *Roll) Watch(ctx context.Context, f func()) {
	changed := make(chan struct{}, 1)
	changed <- struct{}{}
	r.mu.Lock()
	r.watchers[changed] = struct{}{}
	r.mu.Unlock()
	go func() {
		for {
			select {
			case <-ctx.Done():
				r.mu.Lock()
				delete(r.watchers, changed)
				r.mu.Unlock()
				return
			case <-changed:
				f()
			}
		}
	}()
}

func noSuchAgent() error {
	return jackfield.Refuse(jackfield.NotFound, "there is no such agent", nil)
}
