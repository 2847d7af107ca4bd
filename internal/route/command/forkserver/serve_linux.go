//go:build linux && (amd64 || arm64)

package forkserver

import (
	"syscall"
	"unsafe"
)

func init() {
	if _, is := syscall.Getenv(Variable); is {
		syscall.Exit(begin())
	}
}

// begin forks the fork server and leaves it alone. It returns the process's exit status.
func begin() int {
	if err := giveUpPrivileges(); err != nil {
		return 1
	}
	if err := closeInherited(); err != nil {
		return 1
	}
	restoreDescriptorLimit()
	name := [...]byte{'j', 'a', 'c', 'k', 'f', 'i', 'e', 'l', 'd', '-', 'f', 'o', 'r', 'k', 0} // at most 15 bytes, and NUL
	syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_NAME, uintptr(unsafe.Pointer(&name)), 0)

	pid, errno := fork()
	if errno != 0 {
		return 1
	}
	if pid == 0 {
		serve()
	}
	hello := Hello{PID: uint64(pid), Address: uint64(uintptr(unsafe.Pointer(&current)))}
	_, _, errno = syscall.RawSyscall(syscall.SYS_WRITE, Socket, uintptr(unsafe.Pointer(&hello)), HelloSize)
	if errno != 0 {
		return 1
	}
	return 0
}

// What the fork server works with: not on the stack, which might have to grow for it.
var (
	current request
	rights  [64]byte // more than the message for three descriptors takes
	message = syscall.Msghdr{
		Iov:     &syscall.Iovec{Base: (*byte)(unsafe.Pointer(&current)), Len: uint64(unsafe.Sizeof(current))},
		Iovlen:  1,
		Control: &rights[0],
	}
	answer Report
)

// serve takes requests until the server has gone.
//
//go:nosplit
//go:norace
func serve() {
	for {
		message.Controllen = uint64(len(rights))
		n, _, errno := syscall.RawSyscall(syscall.SYS_RECVMSG, Socket, uintptr(unsafe.Pointer(&message)),
			syscall.MSG_CMSG_CLOEXEC)
		if errno == syscall.EINTR {
			continue
		}
		if errno != 0 || n == 0 {
			exit(0)
		}
		if message.Flags&(syscall.MSG_TRUNC|syscall.MSG_CTRUNC) == 0 && n >= unsafe.Offsetof(current.data) {
			start()
		}
		for fd := uintptr(control); fd <= stderr; fd++ {
			syscall.RawSyscall(syscall.SYS_CLOSE, fd, 0, 0)
		}
	}
}

// start starts a process for the current request. A server whose request could not be taken learns of it by the end of
// control.
//
//go:nosplit
//go:norace
func start() {
	pid, errno := fork()
	if errno != 0 {
		report(Forking, uint32(errno))
		return
	}
	if pid == 0 {
		follow()
	}
	report(Started, uint32(pid))
}

// fork starts a process that is a child of our parent, and returns in both. What it returns in is single-threaded.
//
//go:nosplit
//go:norace
func fork() (pid uintptr, errno syscall.Errno) {
	const flags = syscall.CLONE_PARENT | uintptr(syscall.SIGCHLD)
	pid, _, errno = syscall.RawSyscall6(syscall.SYS_CLONE, flags, 0, 0, 0, 0, 0)
	return pid, errno
}

// follow is all that runs in a process before its program.
//
//go:nosplit
//go:norace
func follow() {
	for i := uintptr(0); i < current.count && i < uintptr(len(current.calls)); i++ {
		c := &current.calls[i]
		result, _, errno := syscall.RawSyscall6(c.number, c.args[0], c.args[1], c.args[2], c.args[3], 0, 0)
		if errno != 0 {
			report(c.step, uint32(errno))
			break
		}
		if result < uintptr(c.least) {
			break
		}
	}
	exit(127)
}

//go:nosplit
//go:norace
func report(step Step, value uint32) {
	answer.Step, answer.Value = step, value
	syscall.RawSyscall6(syscall.SYS_SENDTO, control, uintptr(unsafe.Pointer(&answer)), ReportSize, syscall.MSG_NOSIGNAL, 0, 0)
}

//go:nosplit
//go:norace
func exit(status uintptr) {
	for {
		syscall.RawSyscall(syscall.SYS_EXIT_GROUP, status, 0, 0)
	}
}
