package identity

import (
	"context"
	"maps"
	"slices"
	"time"

	"jackfield/internal/store"
)

// The pauses before the store's watch is begun anew.
const (
	shortestPause = 50 * time.Millisecond
	longestPause  = time.Second
)

// follow keeps a watch on the store until ctx ends.
func (d *Directory) follow(ctx context.Context) {
	pause := shortestPause
	for ctx.Err() == nil {
		synced, err := d.watchOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		if synced {
			pause = shortestPause
		}
		d.lose(err)
		sleep(ctx, pause)
		pause = min(2*pause, longestPause)
	}
}

func sleep(ctx context.Context, length time.Duration) {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// watchOnce follows one watch to its end.
func (d *Directory) watchOnce(ctx context.Context) (synced bool, err error) {
	number := d.nextWatch()
	w, err := d.store.Watch(ctx, prefix)
	if err != nil {
		return false, err
	}
	defer w.Close()
	present := newState()
	for {
		c, err := w.Next()
		switch {
		case err != nil:
			return synced, err
		case c.Synced:
			synced = true
			d.replace(present, number)
		case synced:
			d.change(c)
		default:
			_, err := present.apply(c)
			d.warn(err)
		}
		d.dropFirstToken()
	}
}

func (d *Directory) nextWatch() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.watches.begun++
	return d.watches.begun
}

func (d *Directory) lose(err error) {
	d.mu.Lock()
	known := d.watches.lost != nil
	d.watches.lost = err
	d.mu.Unlock()
	if !known {
		d.log.Warn("users and tokens cannot be followed in the store: what is known of them stays in force", "error", err)
	}
}

func (d *Directory) warn(err error) {
	if err != nil {
		d.log.Error("an entry of the store cannot be read: it lets nobody in", "error", err)
	}
}

// replace takes over all that a new watch has told, and with it what happened while there was none.
func (d *Directory) replace(present *state, watch uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	before := d.stored
	d.stored = present
	d.refreshAll(union(union(before.users, present.users), d.file.users))
	for id := range union(before.tokens, present.tokens) {
		d.tellToken(before.tokens[id], present.tokens[id])
	}
	d.watches.synced = watch
	if d.watches.lost != nil {
		d.log.Info("users and tokens are followed in the store again")
	}
	d.watches.lost = nil
	d.announce()
}

// change takes over one change.
func (d *Directory) change(c store.Change) {
	d.mu.Lock()
	defer d.mu.Unlock()
	touched, err := d.stored.apply(c)
	d.warn(err)
	if touched.user != "" {
		d.refresh(touched.user)
		d.noteAdmins()
	}
	if touched.before != nil || touched.after != nil {
		d.tellToken(touched.before, touched.after)
	}
	if touched.before != nil {
		d.live.check(d, touched.before.User)
	}
	d.announce()
}

// refreshAll finds out anew who counts under each of the names. The lock is held.
func (d *Directory) refreshAll(names map[string]struct{}) {
	for _, name := range slices.Sorted(maps.Keys(names)) {
		d.refresh(name)
	}
	d.noteAdmins()
}

// noteAdmins warns when the last admin has gone: by a change of the file, by a restore, or by two nodes at once. The lock is held.
func (d *Directory) noteAdmins() {
	before := d.administered
	d.administered = d.hasAdmin(func(*user) bool { return true })
	if before && !d.administered {
		d.log.Warn(`there is no administrator any more: admin.sock is the way in ("jackfield user change NAME --admin")`)
	}
}

// refresh finds out anew who counts under a name, and ends what is not that user's any more. The lock is held.
func (d *Directory) refresh(name string) {
	before, after := d.users[name], d.file.resolve(name, d.stored.users[name])
	if after == nil {
		delete(d.users, name)
	} else {
		d.users[name] = after
	}
	d.tellUser(before, after)
	d.live.check(d, name)
}

func union[A, B any](a map[string]A, b map[string]B) map[string]struct{} {
	both := make(map[string]struct{}, len(a))
	for k := range a {
		both[k] = struct{}{}
	}
	for k := range b {
		both[k] = struct{}{}
	}
	return both
}
