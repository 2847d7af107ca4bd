//go:build !unix

package mapper

import (
	"errors"
	"syscall"

	"jackfield/internal/account"
)

// attributes cannot change the user here.
func attributes(who *account.User) (*syscall.SysProcAttr, error) {
	if who != nil {
		return nil, errors.New("programs cannot be started as another user on this system")
	}
	return nil, nil
}

// beNice does nothing: there is no niceness here.
func (p *process) beNice(int) {}

// killGroup kills the process: there are no groups here.
func (p *process) killGroup() { _ = p.cmd.Process.Kill() }
