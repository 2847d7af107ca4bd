package identity

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"jackfield"
)

// File is what the configuration file says of users and groups.
//
// A name in the file wins over the same name in the store: the store's user is then not there, and comes back with its
// tokens when the file does not name it any more. A group in the file has the members that the file gives it.
type File struct {
	Users  []FileUser
	Groups []FileGroup
}

// A FileUser is a user in the configuration file.
type FileUser struct {
	Name     string
	Groups   []string
	Admin    bool
	Disabled bool
	Password PasswordHash // zero: this user has none
}

// A FileGroup is a group in the configuration file. Its members need not be users of the directory.
type FileGroup struct {
	Name    string
	Members []string
}

// Check says what is wrong with a file's users and groups.
func (f File) Check() error {
	_, err := newFileState(f)
	return err
}

// Configure takes over what the file says now. What the file does not allow any more ends at once. An error changes nothing.
func (d *Directory) Configure(f File) error {
	file, err := newFileState(f)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	names := union(union(d.stored.users, d.file.users), file.users)
	d.file = file
	d.refreshAll(names)
	d.announce()
	return nil
}

// A fileState is what the file says, by name. It is never changed.
type fileState struct {
	users    map[string]*user
	groups   map[string]bool     // those that the file defines
	memberOf map[string][]string // of these, by member
}

func newFileState(f File) (*fileState, error) {
	s := &fileState{users: map[string]*user{}, groups: map[string]bool{}, memberOf: map[string][]string{}}
	for _, g := range f.Groups {
		if err := s.addGroup(g); err != nil {
			return nil, err
		}
	}
	for _, u := range f.Users {
		if err := s.addUser(u); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *fileState) addGroup(g FileGroup) error {
	name, err := ParseName(g.Name)
	if err != nil {
		return err
	}
	if s.groups[name] {
		return refuse(jackfield.Invalid, fmt.Sprintf("the group %s is there twice", name))
	}
	s.groups[name] = true
	for _, m := range g.Members {
		member, err := ParseName(m)
		if err != nil {
			return err
		}
		s.memberOf[member] = append(s.memberOf[member], name)
	}
	return nil
}

func (s *fileState) addUser(u FileUser) error {
	name, err := ParseName(u.Name)
	if err != nil {
		return err
	}
	if s.users[name] != nil {
		return refuse(jackfield.Invalid, fmt.Sprintf("the user %s is there twice", name))
	}
	groups, err := parseGroups(slices.Concat(u.Groups, s.memberOf[name]))
	if err != nil {
		return err
	}
	s.users[name] = &user{
		User: User{
			Name: name, ID: fileID(name, u.Password), Groups: groups, Admin: u.Admin, Disabled: u.Disabled,
			HasPassword: u.Password != PasswordHash{}, Source: FromFile,
		},
		password: u.Password,
	}
	return nil
}

const fileIDPrefix = "file-"

// fileID stands in for the random ID that a user in a file does not have. The salt in the password's hash makes it different for a
// later user of the same name; users without a password differ by name alone.
func fileID(name string, p PasswordHash) string {
	sum := sha256.Sum256([]byte(name + " " + p.PHC()))
	return fileIDPrefix + hex.EncodeToString(sum[:16])
}

// resolve says who counts under a name: the file's user, or the store's with the groups that the file gives.
func (s *fileState) resolve(name string, stored *user) *user {
	if u := s.users[name]; u != nil || stored == nil {
		return u
	}
	resolved := *stored
	resolved.Groups = slices.Concat(s.withoutOwn(stored.Groups), s.memberOf[name])
	slices.Sort(resolved.Groups)
	resolved.Groups = slices.Compact(resolved.Groups)
	return &resolved
}

// withoutOwn leaves out the groups that the file defines.
func (s *fileState) withoutOwn(groups []string) []string {
	return slices.DeleteFunc(slices.Clone(groups), func(g string) bool { return s.groups[g] })
}
