//go:build unix

package server

import (
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
		return fmt.Errorf("it belongs to %s, and not to the server's user (%s) or root: chown it", userName(owner), userName(uid))
	}
	if dir.Mode().Perm()&0o022 != 0 {
		return errShared
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
