//go:build linux && (amd64 || arm64)

package forkserver

import (
	"syscall"
	"unsafe"
)

// giveUpPrivileges takes from this thread, the only one whose processes matter, what the binary's file may have given it
// beyond its caller's rights: another effective user or group, and capabilities unless the caller is root. Programs of a
// server that is not root have no use for those either.
func giveUpPrivileges() error {
	uid, gid := uintptr(syscall.Getuid()), uintptr(syscall.Getgid())
	if syscall.Getegid() != int(gid) {
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESGID, gid, gid, gid); errno != 0 {
			return errno
		}
	}
	if syscall.Geteuid() != int(uid) {
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, uid, uid, uid); errno != 0 {
			return errno
		}
	}
	if uid == 0 {
		return nil
	}
	const version3 = 0x20080522 // linux/capability.h
	header := struct{ version, pid uint32 }{version: version3}
	var none [6]uint32 // effective, permitted and inheritable, twice
	_, _, errno := syscall.RawSyscall(syscall.SYS_CAPSET,
		uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&none)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// closeInherited keeps from programs what the server itself may have been started with, such as the sockets of socket
// activation; and it makes certain which descriptors a request's will be.
func closeInherited() error {
	const closeRange, last = 436, 1<<32 - 1 // close_range(2), since Linux 5.9; the number is the same on all architectures
	syscall.CloseOnExec(Socket)
	if _, _, errno := syscall.RawSyscall(closeRange, Socket+1, last, 0); errno != 0 {
		return errno
	}
	return nil
}

// restoreDescriptorLimit undoes what package syscall did when it was initialised: Go programs raise their soft limit on
// descriptors (go.dev/issue/46279), but others may be unfit for a high one. Only Exec, even one that fails, puts it back.
func restoreDescriptorLimit() { _ = syscall.Exec("", nil, nil) }
