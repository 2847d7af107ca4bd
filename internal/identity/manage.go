package identity

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// Users returns all users by name.
func (d *Directory) Users() []User {
	d.mu.RLock()
	defer d.mu.RUnlock()
	list := make([]User, 0, len(d.users))
	for _, name := range slices.Sorted(maps.Keys(d.users)) {
		list = append(list, d.users[name].User)
	}
	return list
}

// User returns one user; NotFound if there is none of that name.
func (d *Directory) User(name string) (User, error) {
	u, err := d.find(name)
	if err != nil {
		return User{}, err
	}
	return u.User, nil
}

func (d *Directory) find(name string) (*user, error) {
	name, err := ParseName(name)
	if err != nil {
		return nil, noSuchUser()
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	if u := d.users[name]; u != nil {
		return u, nil
	}
	return nil, noSuchUser()
}

// Groups returns all groups by name.
func (d *Directory) Groups() []Group {
	d.mu.RLock()
	defer d.mu.RUnlock()
	members := make(map[string][]string)
	for group := range d.file.groups {
		members[group] = nil
	}
	for member, groups := range d.file.memberOf {
		for _, group := range groups {
			members[group] = append(members[group], member)
		}
	}
	for _, u := range d.users {
		for _, group := range u.Groups {
			members[group] = append(members[group], u.Name)
		}
	}
	list := make([]Group, 0, len(members))
	for _, name := range slices.Sorted(maps.Keys(members)) {
		g := Group{Name: name, Source: FromStore}
		slices.Sort(members[name])
		g.Members = slices.Compact(members[name])
		if d.file.groups[name] {
			g.Source = FromFile
		}
		list = append(list, g)
	}
	return list
}

// AddUser makes a user, with a password if that is not empty.
func (d *Directory) AddUser(ctx context.Context, n NewUser, password string) (User, error) {
	name, err := ParseName(n.Name)
	if err != nil {
		return User{}, err
	}
	groups, err := d.storable(name, n.Groups)
	if err != nil {
		return User{}, err
	}
	now := time.Now().UTC()
	r := &userRecord{Name: name, ID: newID(), Groups: groups, Admin: n.Admin, Disabled: n.Disabled, Created: now, Updated: now}
	if password != "" {
		if r.Password, err = d.hash(ctx, password); err != nil {
			return User{}, err
		}
	}
	if err := d.createUser(ctx, r); err != nil {
		return User{}, err
	}
	return d.User(name)
}

func (d *Directory) createUser(ctx context.Context, r *userRecord) error {
	value, err := json.Marshal(r)
	if err != nil {
		return err
	}
	revision, err := d.store.Create(ctx, userKey(r.Name), value)
	if err != nil {
		return refuseWrite(err, "a user of this name is there already")
	}
	return d.settled(ctx, atRevision(revision))
}

// ChangeUser changes a user; with a revision that is not 0, only the one that has it. Groups that the file defines are left as they
// are: it is Busy to join or leave one.
func (d *Directory) ChangeUser(ctx context.Context, name string, revision uint64, c Change) (User, error) {
	if c.takesAdmin() {
		leave, err := d.enterAdmins(ctx)
		if err != nil {
			return User{}, err
		}
		defer leave()
		ctx = context.WithoutCancel(ctx)
	}
	return d.edit(ctx, name, revision, func(r *userRecord) error {
		if c.Groups != nil {
			groups, err := d.storable(r.Name, *c.Groups)
			if err != nil {
				return err
			}
			if err := d.keepsFileGroups(r.Name, *c.Groups); err != nil {
				return err
			}
			r.Groups = groups
		}
		if c.Admin != nil {
			r.Admin = *c.Admin
		}
		if c.Disabled != nil {
			r.Disabled = *c.Disabled
		}
		if c.takesAdmin() && d.isLastAdmin(r.Name) {
			return errLastAdmin()
		}
		r.Updated = time.Now().UTC()
		return nil
	})
}

// SetPassword gives a user a password, in place of the one before. Tokens stay; the token of the first admin becomes void.
func (d *Directory) SetPassword(ctx context.Context, name string, revision uint64, password string) (User, error) {
	if _, err := d.changeable(name); err != nil {
		return User{}, err
	}
	hash, err := d.hash(ctx, password)
	if err != nil {
		return User{}, err
	}
	return d.edit(ctx, name, revision, func(r *userRecord) error {
		r.Password, r.First = hash, false
		r.Updated = time.Now().UTC()
		return nil
	})
}

// hash waits for a place among the passwords that are hashed.
func (d *Directory) hash(ctx context.Context, password string) (phc string, err error) {
	if err := checkPassword(password); err != nil {
		return "", err
	}
	leave, err := d.throttle.wait(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	return hashPassword(password, d.costs).PHC(), nil
}

// RemoveUser removes a user, and the user's tokens. It begins with the user, without whom the tokens are void: whatever stays of
// them when it is interrupted is removed later.
func (d *Directory) RemoveUser(ctx context.Context, name string, revision uint64) error {
	if err := d.removeUser(ctx, name, revision); err != nil {
		return err
	}
	d.removeOrphans(ctx)
	return nil
}

func (d *Directory) removeUser(ctx context.Context, name string, revision uint64) error {
	leave, err := d.enterAdmins(ctx)
	if err != nil {
		return err
	}
	defer leave()
	ctx = context.WithoutCancel(ctx)
	name, err = d.changeable(name)
	if err != nil {
		return err
	}
	if d.isLastAdmin(name) {
		return errLastAdmin()
	}
	removed, err := d.deleteUser(ctx, name, revision)
	if err != nil {
		return err
	}
	return d.settled(ctx, func(s *state) bool { return s.users[name] == nil || s.users[name].Revision > removed })
}
