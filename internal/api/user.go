package api

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"jackfield"
	"jackfield/internal/identity"
	"jackfield/internal/store"
)

func describeUser(u identity.User) User {
	return User{
		Name: u.Name, ID: u.ID, Groups: list(u.Groups), Admin: u.Admin, Disabled: u.Disabled, HasPassword: u.HasPassword,
		Source: u.Source, Created: u.Created, Updated: u.Updated, Revision: u.Revision,
	}
}

func listUsers(c *call) (any, error) {
	var users []User
	for _, u := range c.server.Directory.Users() {
		users = append(users, describeUser(u))
	}
	part, next, err := paginate(c, users, func(u User) string { return u.Name })
	return UserList{part, next}, err
}

func addUser(c *call) (any, error) {
	n, err := decode[NewUser](c)
	if err != nil {
		return nil, err
	}
	u, err := c.server.Directory.AddUser(c.changing(), identity.NewUser{
		Name: n.Name, Groups: n.Groups, Admin: n.Admin, Disabled: n.Disabled,
	}, n.Password)
	if err != nil {
		return nil, err
	}
	c.about("user", u.Name)
	c.location = Base + "/users/" + url.PathEscape(u.Name)
	return describeUser(u), nil
}

// user is the one in the path. Of others than themselves, those who are no administrators learn nothing.
func (c *call) user() (identity.User, error) {
	name := c.r.PathValue("name")
	if !c.who.Admin && !c.owns(name) {
		return identity.User{}, notFound("there is no such user")
	}
	return c.server.Directory.User(name)
}

func getUser(c *call) (any, error) {
	u, err := c.user()
	return describeUser(u), err
}

// userToChange is the one in the path, with the revision to be replaced: any, if the client has not said what it believes.
func (c *call) userToChange() (u identity.User, revision uint64, err error) {
	if u, err = c.user(); err != nil {
		return u, 0, err
	}
	if err := c.wantUnchanged(describeUser(u)); err != nil {
		return u, 0, err
	}
	if c.r.Header.Get("If-Match") != "" {
		revision = u.Revision
	}
	return u, revision, nil
}

// stale tells a client that has said what it believes that this was true a moment ago.
func (c *call) stale(err error) error {
	if errors.Is(err, store.ErrConflict) && c.r.Header.Get("If-Match") != "" {
		return refuseWith(http.StatusPreconditionFailed, jackfield.Invalid, changedMeanwhile)
	}
	return err
}

func changeUser(c *call) (any, error) {
	change, err := decode[UserChange](c)
	if err != nil {
		return nil, err
	}
	u, revision, err := c.userToChange()
	if err != nil {
		return nil, err
	}
	u, err = c.server.Directory.ChangeUser(c.changing(), u.Name, revision, identity.Change(change))
	if err != nil {
		return nil, c.stale(err)
	}
	return describeUser(u), nil
}

func deleteUser(c *call) (any, error) {
	u, revision, err := c.userToChange()
	if err != nil {
		return nil, err
	}
	return nil, c.stale(c.server.Directory.RemoveUser(c.changing(), u.Name, revision))
}

func setPassword(c *call) (any, error) {
	change, err := decode[PasswordChange](c)
	if err != nil {
		return nil, err
	}
	u, revision, err := c.userToChange()
	if err != nil {
		return nil, err
	}
	if change.Password == "" {
		return nil, invalid("the new password is missing")
	}
	if !c.who.Admin {
		if err := c.knowsPassword(u.Name, change.Current); err != nil {
			return nil, err
		}
	}
	_, err = c.server.Directory.SetPassword(c.changing(), u.Name, revision, change.Password)
	return nil, c.stale(err)
}

// checkLifetime is that of a token that is not used.
const checkLifetime = time.Minute

// knowsPassword checks a password by a login, so that what slows guessing down there slows it down here. The token that it
// gives is revoked at once.
func (c *call) knowsPassword(user, password string) error {
	if password == "" {
		return invalid("the present password is missing")
	}
	_, t, err := c.server.Directory.Login(c.ctx, user, password, c.record.Source.Addr(), identity.NewToken{
		Label: "to change the password", Scopes: []identity.Scope{identity.Read}, Lifetime: checkLifetime,
	})
	if err == nil {
		return c.server.Directory.RemoveToken(c.changing(), t.ID)
	}
	if jackfield.AsError(err).Kind == jackfield.Unauthenticated {
		return jackfield.Refuse(jackfield.Denied, "the present password is not right", err)
	}
	return err
}

func describeGroup(g identity.Group) Group { return Group{g.Name, list(g.Members), g.Source} }

func listGroups(c *call) (any, error) {
	var groups []Group
	for _, g := range c.server.Directory.Groups() {
		groups = append(groups, describeGroup(g))
	}
	part, next, err := paginate(c, groups, func(g Group) string { return g.Name })
	return GroupList{part, next}, err
}

func (c *call) group(name string) (Group, error) {
	for _, g := range c.server.Directory.Groups() {
		if g.Name == name {
			return describeGroup(g), nil
		}
	}
	return Group{}, notFound("there is no such group")
}

func getGroup(c *call) (any, error) { return c.group(c.r.PathValue("name")) }

func addMember(c *call) (any, error) {
	return nil, c.changeGroups(func(groups []string, group string) []string {
		if slices.Contains(groups, group) {
			return groups
		}
		return append(groups, group)
	})
}

func removeMember(c *call) (any, error) {
	if _, err := c.group(c.r.PathValue("name")); err != nil {
		return nil, err
	}
	return nil, c.changeGroups(func(groups []string, group string) []string {
		return slices.DeleteFunc(groups, func(g string) bool { return g == group })
	})
}

// changeTries is how often a change is tried again because somebody else was faster.
const changeTries = 5

// changeGroups replaces the groups of the user in the path, who may be changed by others at the same time.
func (c *call) changeGroups(change func(groups []string, group string) []string) error {
	group, err := identity.ParseName(c.r.PathValue("name"))
	if err != nil {
		return err
	}
	for range changeTries {
		var u identity.User
		if u, err = c.server.Directory.User(c.r.PathValue("user")); err != nil {
			return err
		}
		groups := change(slices.Clone(u.Groups), group)
		if slices.Equal(groups, u.Groups) {
			return nil
		}
		_, err = c.server.Directory.ChangeUser(c.changing(), u.Name, u.Revision, identity.Change{Groups: &groups})
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return err
}
