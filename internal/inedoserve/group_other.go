//go:build !unix

package inedoserve

import "syscall"

// attributes has nothing to say: there are no groups here.
func attributes() *syscall.SysProcAttr { return nil }

// terminateGroup does nothing: the end of the process's standard input must do.
func (p *process) terminateGroup() {}

// killGroup kills the process.
func (p *process) killGroup() { _ = p.cmd.Process.Kill() }

// hasGroup says that nothing is left to wait for.
func (p *process) hasGroup() bool { return false }
