// Package account finds users and groups of the system the way inetd's configuration names them: by name or by number. A
// name comes first, for a name may consist of digits.
//
//	who, err := account.FindUser("www-data")
//	if err != nil {
//		return err
//	}
//	syscall.Setgid(int(who.GID))
//
// A user must be known to the system, for its groups and its home directory come from there; a group that has a number
// need not be. Numbers are those of Unix: where accounts have none, as on Windows, nothing is found.
//
// The package changes nobody's user or group.
package account

import (
	"fmt"
	"os/user"
	"strconv"
)

// A User is who a process can run as.
type User struct {
	UID, GID uint32
	Groups   []uint32   // supplementary; the system counts GID among them
	Entry    *user.User // what else the system knows of the user
}

// A NumberError is what stands for a user or group and is not the number of one.
type NumberError string

func (e NumberError) Error() string {
	return fmt.Sprintf("%q is not the number of a user or group", string(e))
}

// FindUser finds the user of that name or number, with its groups. If there is none, the error is a user.UnknownUserError.
func FindUser(name string) (*User, error) {
	entry, err := lookupUser(name)
	if err != nil {
		return nil, err
	}
	found := &User{Entry: entry}
	if found.UID, err = number(entry.Uid); err != nil {
		return nil, err
	}
	if found.GID, err = number(entry.Gid); err != nil {
		return nil, err
	}
	ids, err := entry.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("user %q: its groups cannot be found: %w", name, err)
	}
	for _, id := range ids {
		group, err := number(id)
		if err != nil {
			return nil, err
		}
		found.Groups = append(found.Groups, group)
	}
	return found, nil
}

func lookupUser(name string) (*user.User, error) {
	entry, err := user.Lookup(name)
	if err == nil || !isNumber(name) {
		return entry, err
	}
	if entry, unknown := user.LookupId(name); unknown == nil {
		return entry, nil
	}
	return nil, err
}

// FindGroup finds the number of the group of that name or number. A number need not be known to the system: such groups are
// in use. If there is no such name, the error is a user.UnknownGroupError.
func FindGroup(name string) (uint32, error) {
	entry, err := user.LookupGroup(name)
	switch {
	case err == nil:
		return number(entry.Gid)
	case isNumber(name):
		return number(name)
	}
	return 0, err
}

// number reads the number of a user or group. The highest is none: it means "no change" to the kernel.
func number(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || uint32(n) == ^uint32(0) {
		return 0, NumberError(s)
	}
	return uint32(n), nil
}

func isNumber(s string) bool {
	_, err := strconv.ParseUint(s, 10, 32)
	return err == nil
}
