//go:build linux && (amd64 || arm64)

package forkserver

import (
	"syscall"
	"unsafe"
)

// Supported says whether there are fork servers on this system.
const Supported = true

// MaxRequest is the size in bytes of the largest encoded Spec.
const MaxRequest = int(unsafe.Sizeof(request{}))

// A request is what a process does between fork and exec. It is sent as it lies in memory, as server and fork server are
// the same binary; its pointers are those of the fork server.
type request struct {
	plan
	data [64 << 10]byte // what the calls point to
}

type plan struct {
	count uintptr
	calls [32]call
}

// A call is a system call.
type call struct {
	step   Step // for the report if it fails
	least  uint32
	number uintptr
	args   [4]uintptr
}

// The descriptors that come with a request: the fork server has no others beside its own four.
const (
	control = Socket + 1 + iota
	stream
	stderr
)

// AT_FDCWD, and access's X_OK.
const (
	currentDirectory = ^uintptr(99)
	mayExecute       = 1
)

// Encode returns the request for a fork server that puts it at address. OwnStderr says that a descriptor for stderr comes
// with it. Its error is a string with a NUL byte, or E2BIG if it all is more than 64 KiB.
func (s *Spec) Encode(address uint64, ownStderr bool) ([]byte, error) {
	e := encoder{address: uintptr(address), data: make([]byte, 0, 2<<10)}
	e.connect(ownStderr)
	e.limit(s)
	e.become(s.Identity)
	e.execute(s)
	return e.bytes()
}

// An encoder writes a request. Its first error sticks.
type encoder struct {
	address uintptr // of the request in the fork server
	calls   []call
	data    []byte
	err     error
}

func (e *encoder) bytes() ([]byte, error) {
	const size = int(unsafe.Sizeof(plan{}))
	p := plan{count: uintptr(len(e.calls))}
	switch {
	case e.err != nil:
		return nil, e.err
	case len(e.calls) > len(p.calls) || size+len(e.data) > MaxRequest:
		return nil, syscall.E2BIG
	}
	copy(p.calls[:], e.calls)
	b := make([]byte, 0, size+len(e.data))
	b = append(b, unsafe.Slice((*byte)(unsafe.Pointer(&p)), size)...)
	return append(b, e.data...), nil
}

func (e *encoder) call(step Step, number uintptr, args ...uintptr) *call {
	c := call{step: step, number: number}
	copy(c.args[:], args)
	e.calls = append(e.calls, c)
	return &e.calls[len(e.calls)-1]
}

func (e *encoder) connect(ownStderr bool) {
	e.call(Connecting, syscall.SYS_CLOSE, Socket)
	e.call(Grouping, syscall.SYS_SETPGID, 0, 0)
	e.call(Connecting, syscall.SYS_DUP3, stream, 0, 0)
	e.call(Connecting, syscall.SYS_DUP3, stream, 1, 0)
	if ownStderr {
		e.call(Connecting, syscall.SYS_DUP3, stderr, 2, 0)
	} else {
		e.call(Connecting, syscall.SYS_DUP3, stream, 2, 0)
	}
}

// limit comes before become: raising needs privileges.
func (e *encoder) limit(s *Spec) {
	if s.Nice != 0 {
		e.call(SettingNice, syscall.SYS_SETPRIORITY, syscall.PRIO_PROCESS, 0, uintptr(s.Nice))
	}
	for _, l := range s.Limits {
		both := e.words(uintptr(l.Value), uintptr(l.Value))
		e.call(SettingLimits, syscall.SYS_PRLIMIT64, 0, uintptr(l.Resource), both, 0)
	}
	if s.Umask >= 0 {
		e.call(SettingUmask, syscall.SYS_UMASK, uintptr(s.Umask))
	}
}

func (e *encoder) become(id *Identity) {
	if id == nil {
		return
	}
	groups := e.here()
	for _, g := range id.Groups {
		e.data = append(e.data, byte(g), byte(g>>8), byte(g>>16), byte(g>>24)) // both architectures are little-endian
	}
	gid, uid := uintptr(id.GID), uintptr(id.UID)
	e.call(SettingGroups, syscall.SYS_SETGROUPS, uintptr(len(id.Groups)), groups)
	e.call(SettingGroup, syscall.SYS_SETRESGID, gid, gid, gid)
	e.call(SettingUser, syscall.SYS_SETRESUID, uid, uid, uid)
}

// execute has the process look at the program with its own eyes, tell that it is ready, wait, and exec. Until then a
// socket that the server still writes to must not block, as that would block a thread there; the program expects one that
// does.
func (e *encoder) execute(s *Spec) {
	path := e.string(s.Path)
	e.call(ChangingDirectory, syscall.SYS_CHDIR, e.string(s.Directory))
	e.call(CheckingProgram, syscall.SYS_FACCESSAT, currentDirectory, path, mayExecute)
	ready := e.words(uintptr(Ready))
	e.call(Waiting, syscall.SYS_SENDTO, control, ready, ReportSize, syscall.MSG_NOSIGNAL)
	e.call(Waiting, syscall.SYS_READ, control, ready, 1).least = 1
	e.call(Connecting, syscall.SYS_FCNTL, 0, syscall.F_SETFL, 0)
	e.call(Executing, syscall.SYS_EXECVE, path, e.strings(s.Args), e.strings(s.Environment))
}

// here returns the address at which the fork server will have what is written next.
func (e *encoder) here() uintptr {
	for len(e.data)%8 != 0 {
		e.data = append(e.data, 0)
	}
	return e.address + unsafe.Offsetof(request{}.data) + uintptr(len(e.data))
}

func (e *encoder) words(words ...uintptr) uintptr {
	at := e.here()
	for _, w := range words {
		for range 8 {
			e.data = append(e.data, byte(w))
			w >>= 8
		}
	}
	return at
}

func (e *encoder) string(s string) uintptr {
	at := e.here()
	for i := range len(s) {
		if s[i] == 0 {
			e.err = syscall.EINVAL
		}
	}
	e.data = append(append(e.data, s...), 0)
	return at
}

func (e *encoder) strings(list []string) uintptr {
	pointers := make([]uintptr, 0, len(list)+1)
	for _, s := range list {
		pointers = append(pointers, e.string(s))
	}
	return e.words(append(pointers, 0)...)
}
