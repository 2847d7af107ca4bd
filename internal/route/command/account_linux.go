package command

import (
	"os"
	"os/user"
	"slices"
	"strconv"

	"jackfield/internal/route/command/forkserver"
)

// An account is who a program runs as.
type account struct {
	uid, gid uint32
	groups   []uint32
	entry    *user.User           // nil: the user database does not know it
	change   *forkserver.Identity // nil: it is the server's own
}

func (a account) String() string {
	if a.entry != nil {
		return "user " + a.entry.Username
	}
	return "user " + strconv.Itoa(int(a.uid))
}

// account finds the user and groups of the options, the server's own where they say nothing.
func (p *problems) account(o Options) account {
	who := ownAccount()
	own := who
	if o.User != "" {
		who = p.user(o.User, who)
	}
	if o.Group != "" {
		who.gid = p.group(o.Group)
	}
	if o.Groups != nil {
		who.groups = nil
		for _, name := range o.Groups {
			who.groups = append(who.groups, p.group(name))
		}
	}
	asked := o.User != "" || o.Group != "" || o.Groups != nil
	if !asked || own.uid != 0 && who.same(own) {
		return who
	}
	if own.uid != 0 {
		p.add("only root can start programs with another user or other groups; the server runs as %v", own)
	}
	who.change = &forkserver.Identity{UID: who.uid, GID: who.gid, Groups: who.groups}
	return who
}

func (a account) same(b account) bool {
	return a.uid == b.uid && a.gid == b.gid && slices.Equal(a.allGroups(), b.allGroups())
}

func (a account) allGroups() []uint32 {
	all := append([]uint32{a.gid}, a.groups...)
	slices.Sort(all)
	return slices.Compact(all)
}

func ownAccount() account {
	a := account{uid: uint32(os.Geteuid()), gid: uint32(os.Getegid())}
	groups, _ := os.Getgroups()
	for _, g := range groups {
		a.groups = append(a.groups, uint32(g))
	}
	if entry, err := user.LookupId(strconv.Itoa(int(a.uid))); err == nil {
		a.entry = entry
	}
	return a
}

// user returns the account of that name or number, fallback if there is none.
func (p *problems) user(name string, fallback account) account {
	entry, err := user.Lookup(name)
	if err != nil && isNumber(name) {
		entry, err = user.LookupId(name)
	}
	if err != nil {
		p.add("user %q: there is no such user", name)
		return fallback
	}
	a := account{entry: entry, uid: p.number(entry.Uid), gid: p.number(entry.Gid)}
	ids, err := entry.GroupIds()
	if err != nil {
		p.add("user %q: its groups cannot be found: %w", name, err)
	}
	for _, id := range ids {
		a.groups = append(a.groups, p.number(id))
	}
	return a
}

func (p *problems) group(name string) uint32 {
	entry, err := user.LookupGroup(name)
	if err != nil && isNumber(name) {
		entry, err = &user.Group{Gid: name}, nil // groups without an entry are in use
	}
	if err != nil {
		p.add("group %q: there is no such group", name)
		return 0
	}
	return p.number(entry.Gid)
}

func (p *problems) number(s string) uint32 {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || uint32(n) == ^uint32(0) { // -1 means "no change" to the kernel
		p.add("%q is not the number of a user or group", s)
	}
	return uint32(n)
}

func isNumber(s string) bool {
	_, err := strconv.ParseUint(s, 10, 32)
	return err == nil
}
