package identity

import (
	"slices"
	"strings"
	"time"

	"jackfield"
)

// A User is a person or a program that may prove who it is.
type User struct {
	Name        string
	ID          string   // random, made with the user: another user of the same name, later, has another one
	Groups      []string // sorted; not to be changed
	Admin       bool
	Disabled    bool // nothing proves this user's identity until it is enabled again
	HasPassword bool
	Source      Source
	Created     time.Time // zero of one from the configuration file
	Updated     time.Time
	Revision    uint64 // of the store; zero of one from the configuration file
}

// Source is where something is kept.
type Source string

// The places where users and groups are kept.
const (
	FromStore Source = "store"
	FromFile  Source = "file" // the configuration file; it cannot be changed through a Directory
)

// NewUser is what AddUser makes a user of.
type NewUser struct {
	Name     string
	Groups   []string
	Admin    bool
	Disabled bool
}

// Change is what ChangeUser changes; nil leaves it as it is.
type Change struct {
	Groups   *[]string
	Admin    *bool
	Disabled *bool
}

// takesAdmin says whether an admin may be none afterwards.
func (c Change) takesAdmin() bool {
	return c.Admin != nil && !*c.Admin || c.Disabled != nil && *c.Disabled
}

// A Group is the users that are in it. It is there as long as it has a member, or stands in the configuration file.
type Group struct {
	Name    string
	Members []string // sorted
	Source  Source   // FromFile: only the file says who is in it
}

// What a name may be.
const (
	MaxName   = 64  // bytes, of users and groups
	MaxGroups = 100 // of one user
)

// ParseName reads the name of a user or group: 1 to 64 of a-z, 0-9, ".", "_", "-" and "@", the first a letter or digit.
// Capital letters become small ones. The error does not repeat the name: people type passwords where a name belongs.
func ParseName(s string) (string, error) {
	if s == "" || len(s) > MaxName {
		return "", refuse(jackfield.Invalid, "a name has 1 to 64 characters")
	}
	for i := range len(s) {
		c := s[i]
		alphanumeric := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !alphanumeric && (i == 0 || !strings.ContainsRune("._-@", rune(c))) {
			return "", refuse(jackfield.Invalid,
				`a name is made of a-z, 0-9, ".", "_", "-" and "@", and begins with a letter or digit`)
		}
	}
	return strings.ToLower(s), nil
}

// parseGroups reads the names of groups; the result is sorted and holds each once.
func parseGroups(names []string) ([]string, error) {
	if len(names) > MaxGroups {
		return nil, refuse(jackfield.Invalid, "a user can be in 100 groups, not more")
	}
	groups := make([]string, 0, len(names))
	for _, n := range names {
		group, err := ParseName(n)
		if err != nil {
			return nil, err
		}
		groups = append(groups, group)
	}
	slices.Sort(groups)
	return slices.Compact(groups), nil
}
