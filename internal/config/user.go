package config

import (
	"fmt"
	"slices"
	"strings"

	"jackfield/internal/identity"
)

// User is a person, or a program, who can prove who they are. Of its groups, those count too that name it as a member.
type User struct {
	Name         string   // in lower case
	Groups       []string // in lower case
	Admin        bool
	PasswordHash string // argon2id, in the PHC string format; a secret. Empty: no password in the file
	Where        string
}

// Group is a set of users, who may be in the store as well.
type Group struct {
	Name    string   // in lower case
	Members []string // in lower case
	Where   string
}

var userBlock = &block{
	name:  "user",
	label: "NAME",
	doc: "A user who stands in the file; others may be in the store, and the file wins over one of the same name there. " +
		"The name has 1 to 64 characters of `a-z`, `0-9`, `.`, `_`, `@` and `-`, of which the first is a letter or digit. Capital letters become small ones, " +
		"and [rules](#rule-allow-or-deny) must have it in small letters.",
	changes: atOnce,
	attributes: []attribute{
		{
			name: "groups", kind: list{of: "group names"},
			doc: "The groups that the user is in, besides those that name it as a member.",
		},
		{
			name: "admin", kind: boolean{}, fallback: "false",
			doc: "Whether the user may administer the server.",
		},
		{
			name: passwordHash, kind: text{what: "`\"$argon2id$v=19$m=…,t=…,p=…$SALT$HASH\"`", check: checkPasswordHash},
			doc: "What the user's password is checked with: an argon2id hash as a PHC string, which `jackfield user hash` makes. It is a secret, so it should come from a file of its own: " +
				"`file(\"ann.hash\")`. It may cost 256 MiB, 16 passes and 16 threads at most. Unset: no password is right, and the user needs a token or a certificate.",
		},
	},
}

var groupBlock = &block{
	name:  "group",
	label: "NAME",
	doc: "A group of users, for [rules](#rule-allow-or-deny). Its name is written as a user's. It wins over a group of the same name in the store. " +
		"Users of the file may also say themselves that they are in it.",
	changes: atOnce,
	attributes: []attribute{
		{
			name: "members", kind: list{of: "user names"}, required: true,
			doc: "Its users, who may be in the file or in the store.",
		},
	},
}

func (s *section) user() *User {
	out := &User{
		Name:         s.labelIdentity(),
		Groups:       s.identities("groups"),
		Admin:        s.boolean("admin"),
		PasswordHash: s.text(passwordHash),
		Where:        s.where(s.header),
	}
	if len(out.Groups) > identity.MaxGroups {
		s.bad(s.at("groups"), "groups", fmt.Sprintf("a user may be in %d groups", identity.MaxGroups))
	}
	if first, again := s.users.add(out.Name, s.label.at, out); again {
		s.duplicate("user", s.label.at, first)
	}
	return out
}

func (s *section) group() *Group {
	out := &Group{Name: s.labelIdentity(), Members: s.identities("members"), Where: s.where(s.header)}
	if first, again := s.groups.add(out.Name, s.label.at, out); again {
		s.duplicate("group", s.label.at, first)
	}
	return out
}

// labelIdentity returns the block's label in lower case, having checked that it can name a user or group.
func (s *section) labelIdentity() string {
	name := strings.ToLower(s.label.text)
	if err := checkIdentity(name); err != nil {
		s.fail(s.label.at, "Bad name", "%s%v.", s.source(s.label.at), err)
	}
	return name
}

// identities returns names of users or groups in lower case.
func (s *section) identities(argument string) []string {
	var names []string
	for _, element := range s.list(argument) {
		name := strings.ToLower(element.text)
		if err := checkIdentity(name); err != nil {
			s.bad(element.at, argument, err.Error())
			continue
		}
		if slices.Contains(names, name) {
			s.bad(element.at, argument, "this name, compared without case, is in the list already")
			continue
		}
		names = append(names, name)
	}
	return names
}

func checkIdentity(name string) error {
	_, err := identity.ParseName(name)
	return err
}

func checkPasswordHash(phc string) error {
	_, err := identity.ParsePasswordHash(phc)
	return err
}
