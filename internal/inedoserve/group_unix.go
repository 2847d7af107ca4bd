//go:build unix

package inedoserve

import (
	"errors"
	"syscall"
)

// attributes makes a program the leader of a process group.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// terminateGroup asks the group to end; stopped processes, too.
func (p *process) terminateGroup() {
	_ = p.signal(syscall.SIGTERM)
	_ = p.signal(syscall.SIGCONT)
}

func (p *process) killGroup() { _ = p.signal(syscall.SIGKILL) }

// hasGroup says whether the group has members, zombies included.
func (p *process) hasGroup() bool { return !errors.Is(p.signal(0), syscall.ESRCH) }

func (p *process) signal(s syscall.Signal) error { return syscall.Kill(-p.cmd.Process.Pid, s) }
