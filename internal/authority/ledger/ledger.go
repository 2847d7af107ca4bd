// Package ledger remembers, in the store, which client certificates the authority has signed, and which of them are void.
//
//	l, err := ledger.Open(ctx, st, log)
//	if err != nil {
//		return err
//	}
//	defer l.Close()
//	a, err := authority.Open(authority.Options{Dir: dir, Revoked: l.Void, Log: log})
//
// Rules:
//   - A certificate that the ledger does not know is void: one that was signed after the backup that was restored, for instance.
//   - What is void is known within a second of its revocation, on every node, and without asking the store. While the store
//     cannot be reached, what was known last holds.
//   - A certificate that has ended is forgotten a month later.
package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"jackfield"
	"jackfield/internal/authority"
	"jackfield/internal/store"
)

// An Entry is a certificate that was signed.
type Entry struct {
	Serial string         `json:"serial"` // 32 hexadecimal digits
	Kind   authority.Kind `json:"kind"`
	Name   string         `json:"name"`
	UserID string         `json:"user_id,omitempty"` // of a user's

	Authority string    `json:"authority"` // fingerprint of the one that signed it
	Issued    time.Time `json:"issued"`
	NotAfter  time.Time `json:"not_after"`
	Revoked   time.Time `json:"revoked,omitzero"` // zero: it is in force
}

// Subject is who it is for.
func (e Entry) Subject() authority.Subject { return authority.Subject{Kind: e.Kind, Name: e.Name} }

// Remember is how long a certificate is remembered after its end.
const Remember = 30 * 24 * time.Hour

// ErrRevoked is the cause of what ends because a certificate was revoked.
var ErrRevoked = errors.New("certificate revoked")

const prefix = "certificate."

// A Ledger is a copy of what the store has. It may be used by many goroutines at once.
type Ledger struct {
	store store.Store
	log   *slog.Logger
	stop  context.CancelFunc
	done  <-chan struct{}

	mu      sync.Mutex // guards what follows
	entries map[string]known
	users   map[string]map[*use]struct{} // by serial
}

// known is an entry and its revision.
type known struct {
	Entry
	revision uint64
}

// A use is something that lasts only while its certificate is in force.
type use struct{ cancel context.CancelCauseFunc }

// Open reads the ledger and follows it until Close. Certificates that ended long ago are forgotten.
func Open(ctx context.Context, s store.Store, log *slog.Logger) (*Ledger, error) {
	following, stop := context.WithCancel(context.Background())
	l := &Ledger{
		store: s, log: log, stop: stop,
		entries: make(map[string]known), users: make(map[string]map[*use]struct{}),
	}
	done, err := store.Follow(following, s, prefix, log, l.apply)
	if err != nil {
		stop()
		return nil, fmt.Errorf("certificates: %w", err)
	}
	l.done = done
	l.forgetOld(ctx)
	return l, nil
}

// Close stops following the store.
func (l *Ledger) Close() {
	l.stop()
	<-l.done
}

// apply is told each change.
func (l *Ledger) apply(c store.Change) {
	serial := c.Key[len(prefix):]
	var e Entry
	if !c.Deleted {
		if err := json.Unmarshal(c.Value, &e); err != nil || e.Serial != serial {
			l.log.Error("the store's entry of a certificate is damaged: it counts as revoked", "serial", serial)
			e = Entry{Serial: serial, Revoked: c.Written}
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case c.Deleted:
		delete(l.entries, serial)
	case c.Revision < l.entries[serial].revision:
		return // what we wrote ourselves is newer than what the watch has come to
	default:
		l.entries[serial] = known{e, c.Revision}
	}
	if c.Deleted || !e.Revoked.IsZero() {
		for u := range l.users[serial] {
			u.cancel(ErrRevoked)
		}
	}
}

// Add remembers a certificate. It counts as in force when Add has returned.
func (l *Ledger) Add(ctx context.Context, e Entry) error {
	value, err := json.Marshal(e)
	if err != nil {
		return err
	}
	revision, err := l.store.Create(ctx, prefix+e.Serial, value)
	if err != nil {
		return jackfield.Refuse(jackfield.Unavailable, "the certificate cannot be remembered, so it was not issued", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.entries[e.Serial].revision < revision {
		l.entries[e.Serial] = known{e, revision}
	}
	return nil
}

// Revoke makes a certificate void and returns it. One that is void already stays as it is.
func (l *Ledger) Revoke(ctx context.Context, serial string) (Entry, error) {
	l.mu.Lock()
	k, there := l.entries[serial]
	l.mu.Unlock()
	switch {
	case !there:
		return Entry{}, jackfield.Refuse(jackfield.NotFound, fmt.Sprintf("there is no certificate %.40q", serial), nil)
	case !k.Revoked.IsZero():
		return k.Entry, nil
	}
	k.Entry.Revoked = time.Now().UTC()
	value, err := json.Marshal(k.Entry)
	if err != nil {
		return Entry{}, err
	}
	revision, err := l.store.Update(ctx, prefix+serial, value, k.revision)
	switch {
	case errors.Is(err, store.ErrConflict):
		return Entry{}, jackfield.Refuse(jackfield.Busy, "somebody else changed the certificate at this moment, try again", err)
	case err != nil:
		return Entry{}, jackfield.Refuse(jackfield.Unavailable, "the certificate cannot be revoked now", err)
	}
	l.apply(store.Change{Entry: store.Entry{Key: prefix + serial, Value: value, Revision: revision}})
	return k.Entry, nil
}

// List returns what is remembered, in any order.
func (l *Ledger) List() []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]Entry, 0, len(l.entries))
	for _, k := range l.entries {
		list = append(list, k.Entry)
	}
	return list
}

// Get returns the certificate of that serial number, if it is in force.
func (l *Ledger) Get(serial string) (Entry, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k, there := l.entries[serial]
	return k.Entry, there && k.Revoked.IsZero()
}

// Void says whether a certificate must not be accepted.
func (l *Ledger) Void(s authority.Subject, serial string) bool {
	e, good := l.Get(serial)
	return !good || e.Subject() != s
}

// Context returns a context that ends with ErrRevoked when the certificate becomes void, be it before the call.
func (l *Ledger) Context(parent context.Context, serial string) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	u := &use{cancel}
	l.mu.Lock()
	defer l.mu.Unlock()
	if k, there := l.entries[serial]; !there || !k.Revoked.IsZero() {
		cancel(ErrRevoked)
		return ctx, func() {}
	}
	if l.users[serial] == nil {
		l.users[serial] = make(map[*use]struct{})
	}
	l.users[serial][u] = struct{}{}
	return ctx, func() {
		cancel(context.Canceled)
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.users[serial], u)
		if len(l.users[serial]) == 0 {
			delete(l.users, serial)
		}
	}
}

// forgetOld removes certificates that ended long ago. What cannot be removed is tried at the next start.
func (l *Ledger) forgetOld(ctx context.Context) {
	l.mu.Lock()
	var old []known
	for _, k := range l.entries {
		if !k.NotAfter.IsZero() && time.Since(k.NotAfter) > Remember {
			old = append(old, k)
		}
	}
	l.mu.Unlock()
	for _, k := range old {
		if err := l.store.Delete(ctx, prefix+k.Serial, k.revision); err != nil {
			l.log.Warn("an old certificate is still remembered", "serial", k.Serial, "error", err)
			return
		}
	}
}
