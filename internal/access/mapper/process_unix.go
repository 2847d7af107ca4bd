//go:build unix

package mapper

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

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

// beNice lowers the process's priority, or raises it where the server may do that. A program that runs at another priority is
// still the program, so a failure is none of the question's.
func (p *process) beNice(by int) {
	own, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err == nil {
		_ = unix.Setpriority(unix.PRIO_PGRP, p.pid(), niceness(own)+by)
	}
}

// killGroup kills what is in the process's group.
func (p *process) killGroup() { _ = syscall.Kill(-p.pid(), syscall.SIGKILL) }
