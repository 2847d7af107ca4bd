//go:build unix

package client

import (
	"io/fs"
	"syscall"
)

// ownerOf returns the id of a file's owner, where files have one and a mode that says what others may do.
func ownerOf(info fs.FileInfo) (id int, known bool) {
	stat, known := info.Sys().(*syscall.Stat_t)
	if !known {
		return 0, false
	}
	return int(stat.Uid), true
}
