package server

import (
	"jackfield/internal/config"
	"jackfield/internal/identity"
)

// peopleOf is what a configuration says of users and groups. Its password hashes are known to be good.
func peopleOf(c *config.Config) identity.File {
	var f identity.File
	for _, u := range c.Users {
		user := identity.FileUser{Name: u.Name, Groups: u.Groups, Admin: u.Admin}
		if u.PasswordHash != "" {
			user.Password, _ = identity.ParsePasswordHash(u.PasswordHash)
		}
		f.Users = append(f.Users, user)
	}
	for _, g := range c.Groups {
		f.Groups = append(f.Groups, identity.FileGroup{Name: g.Name, Members: g.Members})
	}
	return f
}
