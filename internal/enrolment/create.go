package enrolment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"jackfield"
	"jackfield/internal/store"
)

// How long a token is good.
const (
	DefaultLifetime = time.Hour
	MaxLifetime     = 7 * 24 * time.Hour
)

// New is how an agent is enrolled.
type New struct {
	Name      string
	Offers    *[]string // nil: as before; of a name that is new all that have it as their station
	Owner     *Owner    // nil: as before; nobody of a name that is new
	By        string    // who does it; may be empty
	Lifetime  time.Duration
	Authority string // fingerprint of the authority by which the agent is to know the server

	// Again lets an agent that has joined be enrolled anew. Its certificate is good until the new one has joined.
	Again bool
}

// completed checks what does not depend on what is there.
func (n New) completed() (New, error) {
	var err error
	if n.Name, err = parseName(n.Name); err != nil {
		return n, err
	}
	if n.Offers != nil {
		offers, err := parseOffers(*n.Offers)
		if err != nil {
			return n, err
		}
		n.Offers = &offers
	}
	n.Lifetime = cmp.Or(n.Lifetime, DefaultLifetime)
	if n.Lifetime < time.Second || n.Lifetime > MaxLifetime {
		return n, jackfield.Refuse(jackfield.Invalid, fmt.Sprintf("a token to join with is good between one second and %d days",
			MaxLifetime/(24*time.Hour)), nil)
	}
	return n, nil
}

// Create enrols an agent, and returns the text of the token by which it joins. One that was given out before for that name is void.
func (r *Roll) Create(ctx context.Context, n New) (token string, a Agent, err error) {
	if n, err = n.completed(); err != nil {
		return "", Agent{}, err
	}
	if token, err = newToken(n.Authority); err != nil {
		return "", Agent{}, err
	}
	err = errContended
	for range maxAttempts {
		var e entry
		e, err = r.tryCreate(ctx, n, token)
		if err == nil {
			return token, e.agent(), nil
		}
		if !errors.Is(err, store.ErrExists) && !errors.Is(err, store.ErrConflict) {
			break
		}
		if err := r.refresh(ctx, n.Name); err != nil {
			return "", Agent{}, err
		}
	}
	return "", Agent{}, refuseWrite(err)
}

func (r *Roll) tryCreate(ctx context.Context, n New, token string) (entry, error) {
	e, missing := r.entry(n.Name)
	switch {
	case missing != nil || e.ID == "": // nobody, or what is left of somebody
		e.record = record{Name: n.Name, ID: newID(), Created: time.Now().UTC(), CreatedBy: n.By, Offers: []string{"*." + n.Name}}
	case e.NewName != "":
		return entry{}, jackfield.Refuse(jackfield.Busy, "the agent is being renamed: try again, or rename it again", nil)
	case !e.Enrolled.IsZero() && !n.Again:
		return entry{}, jackfield.Refuse(jackfield.Busy, fmt.Sprintf("the agent %s has joined already: to have it, or another machine"+
			" in its place, join anew, say so (again)", n.Name), nil)
	}
	if n.Offers != nil {
		e.Offers = *n.Offers
	}
	if n.Owner != nil {
		e.Owner = *n.Owner
	}
	e.TokenHash, e.TokenExpires = hashToken(token), time.Now().Add(n.Lifetime).UTC()
	if left := r.leftover(n.Name); missing != nil && left != 0 {
		e.revision = left
	}
	if e.revision == 0 {
		return r.create(ctx, e.record)
	}
	return r.update(ctx, n.Name, e)
}

// leftover returns the revision of a record of that name which does not count any more, since its agent has another name; 0 without.
func (r *Roll) leftover(name string) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, there := r.entries[name]; there && !e.gone && r.superseded(e) {
		return e.revision
	}
	return 0
}

// A Change is what of an agent shall change; what is nil or empty stays.
type Change struct {
	Name   string
	Offers *[]string
	Owner  *Owner
}

func (c Change) apply(r *record) error {
	if c.Offers != nil {
		offers, err := parseOffers(*c.Offers)
		if err != nil {
			return err
		}
		r.Offers = offers
	}
	if c.Owner != nil {
		r.Owner = *c.Owner
	}
	return nil
}

// Change changes an agent. One that is renamed keeps its certificate, and a token that waits for it.
func (r *Roll) Change(ctx context.Context, name string, c Change) (Agent, error) {
	if c.Name != "" {
		var err error
		if c.Name, err = parseName(c.Name); err != nil {
			return Agent{}, err
		}
		if c.Name != strings.ToLower(name) {
			return r.rename(ctx, strings.ToLower(name), c)
		}
	}
	return r.edit(ctx, name, c.apply)
}

// rename writes three times: that the agent is being renamed, so that nobody changes the old record any more; the new record, which
// counts from then on; and that the old one is gone. Done again, it goes on where it was broken off.
func (r *Roll) rename(ctx context.Context, name string, c Change) (Agent, error) {
	e, err := r.entry(name)
	if err != nil {
		return Agent{}, err
	}
	if _, err := r.entry(c.Name); err == nil {
		return Agent{}, taken(c.Name)
	}
	next := e.record
	if err := c.apply(&next); err != nil {
		return Agent{}, err
	}
	next.Name, next.NewName = c.Name, ""
	e.NewName = c.Name
	if e, err = r.update(ctx, name, e); err != nil {
		return Agent{}, refuseWrite(err)
	}
	var renamed entry
	if left := r.leftover(c.Name); left != 0 {
		renamed, err = r.update(ctx, c.Name, entry{record: next, revision: left})
	} else {
		renamed, err = r.create(ctx, next)
	}
	if err != nil {
		e.NewName = ""
		_, undone := r.update(ctx, name, e)
		if errors.Is(err, store.ErrExists) {
			err = taken(c.Name)
		}
		return Agent{}, errors.Join(refuseWrite(err), undone)
	}
	if err := r.remove(ctx, name, e); err != nil {
		r.log.Warn("an agent was renamed, and its record under the old name is still in the store, where it does not count",
			"agent", c.Name, "old_name", name, "error", err)
	}
	return renamed.agent(), nil
}

func taken(name string) error {
	return jackfield.Refuse(jackfield.Busy, fmt.Sprintf("there is an agent %s already", name), nil)
}

// SetDraining notes that an agent is to end when its streams have, or not any more. Arrive ends it, too.
func (r *Roll) SetDraining(ctx context.Context, name string, draining bool) (Agent, error) {
	return r.edit(ctx, name, func(r *record) error {
		r.Draining = draining
		return nil
	})
}

// Remove removes an agent, and returns it as it was: its certificates are void.
func (r *Roll) Remove(ctx context.Context, name string) (Agent, error) {
	name = strings.ToLower(name)
	err := error(errContended)
	for range maxAttempts {
		e, missing := r.entry(name)
		if missing != nil {
			return Agent{}, missing
		}
		if err := r.removeFormer(ctx, e); err != nil {
			return Agent{}, refuseWrite(err)
		}
		if err = r.remove(ctx, name, e); err == nil {
			return e.agent(), nil
		}
		if !errors.Is(err, store.ErrConflict) {
			break
		}
		if err := r.refresh(ctx, name); err != nil {
			return Agent{}, err
		}
	}
	return Agent{}, refuseWrite(err)
}

// removeFormer removes what is left of an agent under an earlier name, which would count again without it.
func (r *Roll) removeFormer(ctx context.Context, e entry) error {
	r.mu.Lock()
	former := maps.Clone(r.entries)
	r.mu.Unlock()
	maps.DeleteFunc(former, func(_ string, f entry) bool { return f.gone || f.NewName != e.Name || f.ID != e.ID })
	for _, name := range slices.Sorted(maps.Keys(former)) {
		if err := r.remove(ctx, name, former[name]); err != nil {
			return err
		}
	}
	return nil
}
