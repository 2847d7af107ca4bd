package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"jackfield"
	"jackfield/internal/store"
)

// maxAttempts is how often a change of any revision is tried while others change the same user.
const maxAttempts = 10

// edit changes a user as the store has it.
func (d *Directory) edit(ctx context.Context, name string, revision uint64, change func(*userRecord) error) (User, error) {
	name, err := d.changeable(name)
	if err != nil {
		return User{}, err
	}
	for range maxAttempts {
		var written uint64
		written, err = d.tryEdit(ctx, name, revision, change)
		if err == nil {
			err = d.settled(ctx, atRevision(written))
			if err != nil {
				return User{}, err
			}
			return d.User(name)
		}
		if revision != 0 || !errors.Is(err, store.ErrConflict) {
			break
		}
	}
	return User{}, err
}

func (d *Directory) tryEdit(ctx context.Context, name string, revision uint64, change func(*userRecord) error) (uint64, error) {
	e, err := d.get(ctx, name, revision)
	if err != nil {
		return 0, err
	}
	r, err := decodeUser(e)
	if err != nil {
		return 0, err
	}
	if err := change(r); err != nil {
		return 0, err
	}
	value, err := json.Marshal(r)
	if err != nil {
		return 0, err
	}
	written, err := d.store.Update(ctx, e.Key, value, e.Revision)
	return written, refuseUserWrite(err)
}

// get reads a user's entry; revision 0 is any.
func (d *Directory) get(ctx context.Context, name string, revision uint64) (store.Entry, error) {
	e, err := d.store.Get(ctx, userKey(name))
	if err == nil && revision != 0 && e.Revision != revision {
		err = store.ErrConflict
	}
	return e, refuseUserWrite(err)
}

func (d *Directory) deleteUser(ctx context.Context, name string, revision uint64) (removed uint64, err error) {
	for range maxAttempts {
		var e store.Entry
		if e, err = d.get(ctx, name, revision); err != nil {
			return 0, err
		}
		err = d.store.Delete(ctx, userKey(name), e.Revision)
		if err == nil {
			return e.Revision, nil
		}
		if revision != 0 || !errors.Is(err, store.ErrConflict) {
			break
		}
	}
	return 0, refuseUserWrite(err)
}

// changeable returns the name of a user that can be changed here: one that is in the store and not in the file.
func (d *Directory) changeable(name string) (string, error) {
	u, err := d.find(name)
	if err != nil {
		return "", err
	}
	if u.Source == FromFile {
		return "", errInFile(u.Name)
	}
	return u.Name, nil
}

// storable returns the groups of a user as the store is to have them. Those that the file defines are for the file to say: the ones
// that it gives the user are left out, others are refused.
func (d *Directory) storable(name string, names []string) ([]string, error) {
	groups, err := parseGroups(names)
	if err != nil {
		return nil, err
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.file.users[name] != nil {
		return nil, errInFile(name)
	}
	for _, g := range groups {
		if d.file.groups[g] && !slices.Contains(d.file.memberOf[name], g) {
			return nil, errGroupInFile(g)
		}
	}
	return d.file.withoutOwn(groups), nil
}

// keepsFileGroups says whether the groups, which are storable, hold all those that the file puts the user in.
func (d *Directory) keepsFileGroups(name string, groups []string) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for _, own := range d.file.memberOf[name] {
		if !slices.ContainsFunc(groups, func(g string) bool { return strings.EqualFold(g, own) }) {
			return errGroupInFile(own)
		}
	}
	return nil
}

// enterAdmins waits for its turn among the changes that may take the last admin away. Each holds it, whatever becomes of its caller,
// from the look at who is an admin until the watch has told of what it wrote.
func (d *Directory) enterAdmins(ctx context.Context) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, refuseWrite(err, "")
	}
	select {
	case d.admins <- struct{}{}:
		return func() { <-d.admins }, nil
	case <-ctx.Done():
		return nil, refuseWrite(ctx.Err(), "")
	}
}

// isLastAdmin says whether nobody could administer without that user. The answer holds as long as the turn of enterAdmins.
func (d *Directory) isLastAdmin(name string) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	u := d.users[name]
	return u != nil && u.Admin && !u.Disabled && !d.hasAdmin(func(other *user) bool { return other.Name != name })
}

// hasAdmin says whether one of the admins that are not disabled is like that. The lock is held.
func (d *Directory) hasAdmin(is func(*user) bool) bool {
	for _, u := range d.users {
		if u.Admin && !u.Disabled && is(u) {
			return true
		}
	}
	return false
}

func noSuchUser() error { return refuse(jackfield.NotFound, "there is no such user") }

func errInFile(name string) error {
	return refuse(jackfield.Busy, fmt.Sprintf("the user %s is in the configuration file: change it there", name))
}

func errGroupInFile(name string) error {
	return refuse(jackfield.Busy, fmt.Sprintf("the configuration file says who is in the group %s: change it there", name))
}

func errLastAdmin() error {
	return refuse(jackfield.Busy, "this is the last admin: make another one first")
}

func refuseUserWrite(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return jackfield.Refuse(jackfield.NotFound, "there is no such user", err)
	}
	return refuseWrite(err, "the user was changed by somebody else: look at it again")
}

// refuseWrite says what a failed write means to the person who wanted it.
func refuseWrite(err error, conflict string) error {
	var refusal *jackfield.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refusal):
		return err
	case errors.Is(err, store.ErrExists), errors.Is(err, store.ErrConflict):
		return jackfield.Refuse(jackfield.Busy, conflict, err)
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return jackfield.Refuse(jackfield.Unavailable, "the store cannot be reached: try again later", err)
	}
	return jackfield.Refuse(jackfield.Internal, "internal error", err)
}
