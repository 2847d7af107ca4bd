package identity

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"jackfield"
	"jackfield/internal/store"
)

// sweepNowAndThen sweeps about once an hour, the nodes of a cluster at different times.
func (d *Directory) sweepNowAndThen(ctx context.Context) {
	for {
		sleep(ctx, 45*time.Minute+rand.N(30*time.Minute))
		if ctx.Err() != nil {
			return
		}
		d.sweep(ctx)
	}
}

// sweep removes tokens that are good for nothing any more, and renews the first token if that was one of them.
func (d *Directory) sweep(ctx context.Context) {
	for _, t := range d.tokensThat(func(t *token) bool { return !time.Now().Before(t.Expires) }) {
		if !d.clear(ctx, t) {
			return
		}
	}
	d.removeOrphans(ctx)
	if err := d.ensureFirstToken(ctx); err != nil {
		d.log.Error("the first admin has no token to log in with", "error", err)
	}
}

// removeOrphans removes the tokens of users who were removed, and first tokens that were made void.
func (d *Directory) removeOrphans(ctx context.Context) {
	orphans := d.tokensThat(func(t *token) bool {
		u := d.stored.users[t.User]
		if u == nil || u.ID != t.userID {
			return !strings.HasPrefix(t.userID, fileIDPrefix) // which other nodes may still have in their files
		}
		return t.first && !u.first
	})
	for _, t := range orphans {
		if d.isOrphan(ctx, t) && !d.clear(ctx, t) {
			return
		}
	}
}

// isOrphan asks the store. A user whose entry cannot be read, as that of a later version, may still be there.
func (d *Directory) isOrphan(ctx context.Context, t *token) bool {
	e, err := d.store.Get(ctx, userKey(t.User))
	if errors.Is(err, store.ErrNotFound) {
		return true
	}
	if err != nil {
		return false
	}
	r, err := decodeUser(e)
	return err == nil && (r.ID != t.userID || t.first && !r.First)
}

func (d *Directory) tokensThat(are func(*token) bool) (list []*token) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for _, t := range d.stored.tokens {
		if are(t) {
			list = append(list, t)
		}
	}
	return list
}

// clear says whether it can go on: the store was there, and the token is not.
func (d *Directory) clear(ctx context.Context, t *token) bool {
	err := d.deleteToken(ctx, t.Token)
	if err == nil || jackfield.AsError(err).Kind == jackfield.NotFound {
		return true
	}
	d.log.Info("tokens that are good for nothing any more stay for a while", "error", err)
	return false
}
