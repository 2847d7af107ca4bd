package command

import (
	"errors"
	"os"
	"os/user"
	"slices"
	"strconv"

	"jackfield/internal/account"
	"jackfield/internal/route/command/forkserver"
)

// A credential is the account that a program runs as, and whether that differs from the server's.
type credential struct {
	account.User                      // its Entry is nil if the system does not know the user
	change       *forkserver.Identity // nil: it is the server's own
}

func (c credential) String() string {
	if c.Entry != nil {
		return "user " + c.Entry.Username
	}
	return "user " + strconv.Itoa(int(c.UID))
}

// credential finds the user and groups of the options, the server's own where they say nothing.
func (p *problems) credential(o Options) credential {
	own := credential{User: ownAccount()}
	who := own
	if o.User != "" {
		who.User = p.user(o.User, own.User)
	}
	if o.Group != "" {
		who.GID = p.group(o.Group)
	}
	if o.Groups != nil {
		who.Groups = nil
		for _, name := range o.Groups {
			who.Groups = append(who.Groups, p.group(name))
		}
	}
	asked := o.User != "" || o.Group != "" || o.Groups != nil
	if !asked || own.UID != 0 && who.same(own) {
		return who
	}
	if own.UID != 0 {
		p.add("only root can start programs with another user or other groups; the server runs as %v", own)
	}
	who.change = &forkserver.Identity{UID: who.UID, GID: who.GID, Groups: who.Groups}
	return who
}

func (c credential) same(other credential) bool {
	return c.UID == other.UID && c.GID == other.GID && slices.Equal(c.allGroups(), other.allGroups())
}

func (c credential) allGroups() []uint32 {
	all := append([]uint32{c.GID}, c.Groups...)
	slices.Sort(all)
	return slices.Compact(all)
}

func ownAccount() account.User {
	own := account.User{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}
	groups, _ := os.Getgroups()
	for _, g := range groups {
		own.Groups = append(own.Groups, uint32(g))
	}
	if entry, err := user.LookupId(strconv.Itoa(int(own.UID))); err == nil {
		own.Entry = entry
	}
	return own
}

// user returns the account of that name or number, fallback if there is none.
func (p *problems) user(name string, fallback account.User) account.User {
	found, err := account.FindUser(name)
	switch {
	case err == nil:
		return *found
	case errors.As(err, new(user.UnknownUserError)):
		p.add("user %q: there is no such user", name)
	default:
		p.add("%w", err)
	}
	return fallback
}

func (p *problems) group(name string) uint32 {
	gid, err := account.FindGroup(name)
	switch {
	case errors.As(err, new(user.UnknownGroupError)):
		p.add("group %q: there is no such group", name)
	case err != nil:
		p.add("%w", err)
	}
	return gid
}
