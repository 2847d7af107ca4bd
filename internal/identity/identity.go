// Package identity knows the users, groups, passwords and tokens, and says who a caller is.
//
//	d, err := identity.Open(ctx, s, identity.Options{Log: log, FirstTokenPath: "/var/lib/jackfield/first-token"})
//	defer d.Close()
//
//	secret, _, err := d.Login(ctx, "ada", password, source, identity.NewToken{Label: "laptop"})
//	caller, err := d.Authenticate(secret)            // from memory, for every call
//	ctx, cancel := caller.Context(r.Context())       // ends when the token is revoked
//	defer cancel()
//
// Rules:
//   - A password is good for one thing, a token; a token is what every call shows. A one-time token too is good for a token alone.
//   - A token belongs to a user's random ID, never to a name, and is good as long as a user with that ID is there. So a removed
//     user's tokens are void with the user's own entry, before they are removed themselves, and a later user of the same name has
//     none of them.
//   - Secrets are in no error and no log. A token's ID, which is part of its hash, may be.
//   - A change is in force on the node where it was made when its call returns, and on every other node when the store's watch
//     tells of it: within a second while that node reaches the store.
//   - The last admin can be neither removed, disabled nor demoted. Within a process such changes are made one after the other; two
//     nodes at the same moment are not told apart, and each may take away what the other takes for the last admin but one. The
//     configuration file and a restore can take every admin away, too: the log then has a warning.
//   - While a node cannot reach the store, changes fail with kind Unavailable. Authentication goes on with what the node knew when
//     it lost the store: it may take a token, or a user, that was revoked elsewhere since. That ends, at the latest, one second
//     (the longest pause between two attempts to reach the store) and the time to read the entries after the store is back; and
//     for each token when it expires.
//
// Errors are *jackfield.Error: Unauthenticated, NotFound, Invalid, Denied, Limited (RetryAfter says for how long), Unavailable, and
// Busy for what contradicts the present state: a name that is taken (wraps store.ErrExists), a revision that is not the present one
// (wraps store.ErrConflict), a user whom the configuration file names or a group that it defines, the last admin.
//
// The package does not say what a caller may do: scopes, groups and Admin are for others to look at. It knows nothing of HTTP, and
// neither checks certificates nor their revocation. Setting a password leaves the user's tokens as they are.
package identity

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"time"

	"jackfield"
	"jackfield/internal/store"
)

// Options are what a Directory is opened with.
type Options struct {
	Log  *slog.Logger // nil: nothing is logged
	File File         // of the configuration; Configure changes it

	// FirstTokenPath is where the one-time token of the first admin is written when there is no admin, neither in the store nor in
	// the file; empty: no admin is made. The file is removed when the token was used or is void.
	FirstTokenPath string
}

// A Directory is all users, groups and tokens. It may be used by many goroutines at once.
type Directory struct {
	store    store.Store
	log      *slog.Logger
	throttle *throttle
	costs    costs        // of the passwords that are set from now on
	nobody   PasswordHash // what is tried where there is no password; fits none
	first    firstToken
	stop     context.CancelFunc
	tasks    sync.WaitGroup
	admins   chan struct{} // full while somebody makes a change that may take the last admin away

	mu           sync.RWMutex     // guards what follows
	stored       *state           // what the store has
	file         *fileState       // what the configuration file has
	users        map[string]*user // who counts, by name
	administered bool             // one of them is an admin and not disabled
	watches      watches          // of the store
	told         chan struct{}    // closed, and replaced, when any of the above changed
	live         liveContexts
	readers      map[chan Event]struct{} // of Watch
}

// watches numbers the watches of the store that were begun.
type watches struct {
	begun  uint64
	synced uint64 // the one whose entries were all told
	lost   error  // why the last one ended, until one is synced again
}

// Open returns a directory when it knows everything that the store has; until then it tries to reach the store, for as long as ctx
// lasts. The store remains the caller's.
func Open(ctx context.Context, s store.Store, o Options) (*Directory, error) {
	file, err := newFileState(o.File)
	if err != nil {
		return nil, err
	}
	d := &Directory{
		store: s, log: o.Log, throttle: newThrottle(), costs: defaultCosts, nobody: noPassword(),
		first: firstToken{path: o.FirstTokenPath}, admins: make(chan struct{}, 1),
		stored: newState(), file: file, users: map[string]*user{}, told: make(chan struct{}), live: liveContexts{},
		readers: map[chan Event]struct{}{},
	}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	background, stop := context.WithCancel(context.Background())
	d.stop = stop
	d.tasks.Go(func() { d.follow(background) })
	if err := d.ready(ctx); err != nil {
		d.Close()
		return nil, err
	}
	d.tasks.Go(func() { d.sweepNowAndThen(background) })
	return d, nil
}

func (d *Directory) ready(ctx context.Context) error {
	err := d.await(ctx, func() bool { return d.watches.synced > 0 })
	if err != nil {
		d.mu.RLock()
		defer d.mu.RUnlock()
		return jackfield.Refuse(jackfield.Unavailable, "the store cannot be reached, and with it no user", d.watches.lost)
	}
	return d.ensureFirstToken(ctx)
}

// Close ends the directory's own work, and the channels of Watch. Contexts of callers go on, and are not ended by changes any more.
func (d *Directory) Close() {
	d.stop()
	d.tasks.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	for r := range d.readers { // those who come later leave with their contexts
		d.dismiss(r)
	}
}

// noPassword costs what a password costs and fits none.
func noPassword() PasswordHash {
	random := make([]byte, saltSize+keySize)
	rand.Read(random) // never fails
	return PasswordHash{costs: defaultCosts, salt: string(random[:saltSize]), key: string(random[saltSize:])}
}

// writeTimeout is how long a write waits until the watch has told of it.
const writeTimeout = 5 * time.Second

// errUnheard is in the details of a refusal that comes after the store took the change.
var errUnheard = errors.New("the store's watch did not tell of a change")

// settled returns when this directory knows of a write that has just been done. It is known when the watch that is running has told
// of it, or when one that was begun later has told everything.
func (d *Directory) settled(ctx context.Context, known func(*state) bool) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	d.mu.RLock()
	begun := d.watches.begun
	d.mu.RUnlock()
	err := d.await(ctx, func() bool {
		w := d.watches
		return w.synced > begun || w.synced == w.begun && known(d.stored)
	})
	if err != nil {
		return jackfield.Refuse(jackfield.Unavailable, "the change was stored, but this server has not heard of it yet", errUnheard)
	}
	return nil
}

func atRevision(revision uint64) func(*state) bool {
	return func(s *state) bool { return s.revision >= revision }
}

// await waits for a condition, which is looked at under the lock.
func (d *Directory) await(ctx context.Context, condition func() bool) error {
	for {
		d.mu.RLock()
		met, told := condition(), d.told
		d.mu.RUnlock()
		if met {
			return nil
		}
		select {
		case <-told:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// announce wakes those who await. The lock is held.
func (d *Directory) announce() {
	close(d.told)
	d.told = make(chan struct{})
}

func refuse(kind jackfield.Kind, message string) error { return jackfield.Refuse(kind, message, nil) }
