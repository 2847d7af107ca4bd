//go:build unix

package mapper

import (
	"fmt"
	"os"
	"syscall"

	"jackfield/internal/account"
)

// attributes makes a program the leader of a process group, as the user; nil is the server's own.
func attributes(who *account.User) (*syscall.SysProcAttr, error) {
	a := &syscall.SysProcAttr{Setpgid: true}
	switch own := os.Geteuid(); {
	case who == nil || own != 0 && uint32(own) == who.UID:
	case own != 0:
		return nil, fmt.Errorf("only root can start programs as another user; the server runs as user %d", own)
	default:
		a.Credential = &syscall.Credential{Uid: who.UID, Gid: who.GID, Groups: who.Groups}
	}
	return a, nil
}

// killGroup kills what is in the process's group.
func (p *process) killGroup() { _ = syscall.Kill(-p.pid(), syscall.SIGKILL) }
