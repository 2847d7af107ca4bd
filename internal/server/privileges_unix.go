//go:build unix

package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"jackfield/internal/account"
	"jackfield/internal/config"
)

// becomeUser makes the process run as the user and group at the top of the configuration, if there are any. There is no way
// back. What the server keeps in data_dir is given to that user first.
func becomeUser(c *config.Config) error {
	if c.Program.User == "" && c.Program.Group == "" {
		return nil
	}
	who, err := findTarget(c.Program)
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		if os.Geteuid() == int(who.UID) && os.Getegid() == int(who.GID) {
			return nil
		}
		return errors.New(`"user" and "group" at the top of the configuration need a server that is started as root`)
	}
	if err := giveDataDir(c.DataDir, who); err != nil {
		return fmt.Errorf("data_dir %s cannot be given to the server's user: %w", c.DataDir, err)
	}
	groups := make([]int, 0, len(who.Groups))
	for _, gid := range who.Groups {
		groups = append(groups, int(gid))
	}
	if err := syscall.Setgroups(groups); err != nil {
		return fmt.Errorf("setting the groups of user %q: %w", c.Program.User, err)
	}
	if err := syscall.Setgid(int(who.GID)); err != nil {
		return fmt.Errorf("setting group %d: %w", who.GID, err)
	}
	if err := syscall.Setuid(int(who.UID)); err != nil {
		return fmt.Errorf("setting user %d: %w", who.UID, err)
	}
	return nil
}

// findTarget finds who the server becomes: the groups are the user's unless the configuration names others.
func findTarget(p config.Program) (*account.User, error) {
	who := &account.User{UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
	var err error
	if p.User != "" {
		if who, err = account.FindUser(p.User); err != nil {
			return nil, err
		}
	}
	if p.Group != "" {
		if who.GID, err = account.FindGroup(p.Group); err != nil {
			return nil, err
		}
	}
	if p.Groups != nil {
		who.Groups = nil
	}
	for _, name := range p.Groups {
		gid, err := account.FindGroup(name)
		if err != nil {
			return nil, err
		}
		who.Groups = append(who.Groups, gid)
	}
	return who, nil
}

// giveDataDir makes data_dir and gives it, with what earlier runs as root left there, to the user. One that is the user's
// already is left alone: what is in it now may be links to files that are not.
func giveDataDir(path string, who *account.User) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	dir, err := os.OpenRoot(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	info, err := dir.Stat(".")
	if err != nil {
		return err
	}
	if err := checkOwner(info, int(who.UID)); err != nil {
		return err
	}
	if ownerOf(info) == int(who.UID) {
		return nil
	}
	return giveAll(dir, who)
}

// giveAll gives the directory itself last: if that fails half-way, the next run goes on. Links are not followed.
func giveAll(dir *os.Root, who *account.User) error {
	give := func(name string) error { return dir.Lchown(name, int(who.UID), int(who.GID)) }
	err := fs.WalkDir(dir.FS(), ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		return give(name)
	})
	if err != nil {
		return err
	}
	return give(".")
}

// explainBind says what a permission error means for a server that has dropped its privileges.
func explainBind(err error, c *config.Config) error {
	if c.Program.User != "" && errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: the server runs as %q now and cannot open this port; restart it", err, c.Program.User)
	}
	return err
}
