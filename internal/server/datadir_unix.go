//go:build unix

package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os/user"
	"strconv"
	"syscall"
)

// checkOwner finds out whether a directory is safe to write to for a server of that user: whoever else could make links in
// it would have the server write where they lead.
func checkOwner(dir fs.FileInfo, uid int) error {
	owner := ownerOf(dir)
	if owner != uid && owner != 0 {
		wanted := "root"
		if uid != 0 {
			wanted = userName(uid) + " or root"
		}
		return fmt.Errorf("it belongs to %s and not to %s: chown it", userName(owner), wanted)
	}
	if dir.Mode().Perm()&0o022 != 0 {
		return errors.New("others may write to it: chmod go-w it")
	}
	return nil
}

func ownerOf(file fs.FileInfo) int { return int(file.Sys().(*syscall.Stat_t).Uid) }

// userName names a user for people.
func userName(uid int) string {
	id := strconv.Itoa(uid)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "user " + id
}
