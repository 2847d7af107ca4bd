//go:build unix

package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"jackfield/internal/config"
)

// becomeUser makes the process run as the user and group at the top of the configuration, if there are any. There is no way
// back. What the server keeps in data_dir is given to that user first.
func becomeUser(c *config.Config) error {
	if c.Program.User == "" && c.Program.Group == "" {
		return nil
	}
	who, err := lookupTarget(c.Program)
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		if os.Geteuid() == who.uid && os.Getegid() == who.gid {
			return nil
		}
		return errors.New(`"user" and "group" at the top of the configuration need a server that is started as root`)
	}
	if err := giveDataDir(c, who); err != nil {
		return fmt.Errorf("data_dir: %w", err)
	}
	if err := syscall.Setgroups(who.groups); err != nil {
		return fmt.Errorf("setting the groups of user %q: %w", c.Program.User, err)
	}
	if err := syscall.Setgid(who.gid); err != nil {
		return fmt.Errorf("setting group %d: %w", who.gid, err)
	}
	if err := syscall.Setuid(who.uid); err != nil {
		return fmt.Errorf("setting user %d: %w", who.uid, err)
	}
	return nil
}

// A target is who the server becomes.
type target struct {
	uid, gid int
	groups   []int
}

func lookupTarget(p config.Program) (target, error) {
	t := target{uid: os.Getuid(), gid: os.Getgid()}
	if p.User != "" {
		if err := t.setUser(p.User); err != nil {
			return t, err
		}
	}
	if p.Group != "" {
		gid, err := lookupGroup(p.Group)
		if err != nil {
			return t, err
		}
		t.gid = gid
	}
	if p.Groups != nil {
		t.groups = nil
	}
	for _, name := range p.Groups {
		gid, err := lookupGroup(name)
		if err != nil {
			return t, err
		}
		t.groups = append(t.groups, gid)
	}
	return t, nil
}

// setUser takes the user of that name or number, with its groups.
func (t *target) setUser(name string) error {
	entry, err := user.Lookup(name)
	if err != nil {
		var unknown error
		if entry, unknown = user.LookupId(name); unknown != nil {
			return err
		}
	}
	ids, err := entry.GroupIds()
	if err != nil {
		return err
	}
	if t.uid, err = strconv.Atoi(entry.Uid); err != nil {
		return err
	}
	if t.gid, err = strconv.Atoi(entry.Gid); err != nil {
		return err
	}
	for _, id := range ids {
		gid, err := strconv.Atoi(id)
		if err != nil {
			return err
		}
		t.groups = append(t.groups, gid)
	}
	return nil
}

// lookupGroup finds a group by its name or number; a number need not be known to the system.
func lookupGroup(name string) (int, error) {
	entry, err := user.LookupGroup(name)
	if err == nil {
		name = entry.Gid
	}
	gid, notNumber := strconv.Atoi(name)
	if notNumber != nil {
		return 0, err
	}
	return gid, nil
}

// giveDataDir makes data_dir and gives it, with what earlier runs left there, to the user. Links are not followed.
func giveDataDir(c *config.Config, who target) error {
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return err
	}
	return filepath.WalkDir(c.DataDir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, who.uid, who.gid)
	})
}

// explainBind says what a permission error means for a server that has dropped its privileges.
func explainBind(err error, c *config.Config) error {
	if c.Program.User != "" && errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: the server runs as %q now and cannot open this port; restart it", err, c.Program.User)
	}
	return err
}
