// Package forkserver is the small process that starts programs for the route command. The server's own binary becomes it:
// started again with Variable in its environment, it acts in this package's init and never gets to main.
//
// It exists because os/exec can set neither umask, nice nor limits for a child, and because a program has to stand ready,
// with all of that done, before its client is told so. Starting the binary once for each program would do too, but Go's
// runtime alone takes longer to start than three programs; here it starts once.
//
// The server and the fork server share a SOCK_SEQPACKET pair, the fork server's end of which is Socket:
//
//	fork server -> server   a Hello
//	server -> fork server   a Spec, encoded, with two or three descriptors: control, stream, and stderr unless it is stream
//	fork server -> control  Started with the process id, or what failed
//	process -> control      Ready, or what failed
//	server -> control       one byte: go on. The end of control instead: exit without a word
//	process -> control      its end, because the program runs now; or what failed
//
// Each answer on control is a Report. The process is a child of the server, not of the fork server (CLONE_PARENT): the
// server waits for it as for any other. The fork server ends when the server does; the programs live on.
//
// Rules:
//   - It imports nothing but syscall, so that it is initialised, and acts, before os, net and every package of another
//     module. (Packages that are ready are initialised in the order of their import paths.)
//   - It has one thread, and no Go runtime beside it: the process that the runtime started forks the fork server and
//     exits. So it, and its forks, do nothing that might need the runtime: they make the system calls that the server
//     prepared, and neither allocate nor grow the stack. That also keeps it small, which makes its forks fast.
//   - The program gets descriptors 0, 1 and 2, and an environment without Variable.
//   - Who sets Variable by hand gains nothing: it acts with the caller's rights, after it gave up what the binary itself
//     may have been given.
package forkserver

import "syscall"

// Variable in the environment makes the binary a fork server.
const Variable = "JACKFIELD_FORK_SERVER"

// Socket is the descriptor on which a fork server takes requests.
const Socket = 3

// A Spec says what to run and how.
type Spec struct {
	Path        string   // absolute
	Args        []string // from the program's own name on
	Environment []string // "NAME=value"
	Directory   string
	Umask       int // negative: inherited
	Nice        int // as setpriority has it; 0: inherited
	Limits      []Limit
	Identity    *Identity // nil: inherited
}

// A Limit is a resource limit (setrlimit), soft and hard alike.
type Limit struct {
	Resource int
	Value    uint64
}

// An Identity is the user and groups that a program runs with.
type Identity struct {
	UID, GID uint32
	Groups   []uint32 // supplementary
}

// A Hello is the first word of a fork server, in the machine's own representation.
type Hello struct {
	PID     uint64
	Address uint64 // where requests are put
}

// A Report is an answer on the control socket, in the machine's own representation.
type Report struct {
	Step  Step
	Value uint32 // Started: the process id. Ready: 0. Else: the error number of the step that failed
}

// The sizes of a Hello and a Report in bytes.
const (
	HelloSize  = 16
	ReportSize = 8
)

// A Step is where the start of a program has got to.
type Step uint32

// The steps in their order.
const (
	Started Step = iota
	Ready

	Forking // from here on: what failed
	Grouping
	Connecting
	SettingNice
	SettingLimits
	SettingUmask
	SettingGroups
	SettingGroup
	SettingUser
	ChangingDirectory
	CheckingProgram
	Waiting
	Executing
)

var steps = [...]string{
	Started:           "started",
	Ready:             "ready",
	Forking:           "fork",
	Grouping:          "making a process group",
	Connecting:        "passing the descriptors",
	SettingNice:       "setting nice",
	SettingLimits:     "setting the limits",
	SettingUmask:      "setting umask",
	SettingGroups:     "setting the supplementary groups",
	SettingGroup:      "setting the group",
	SettingUser:       "setting the user",
	ChangingDirectory: "changing to the directory",
	CheckingProgram:   "access to the program",
	Waiting:           "waiting",
	Executing:         "executing the program",
}

// String says in words what a step does.
func (s Step) String() string {
	if int(s) < len(steps) {
		return steps[s]
	}
	return "an unknown step"
}

// Err returns what failed, nil if nothing did.
func (r Report) Err() error {
	if r.Step < Forking {
		return nil
	}
	return &Error{r.Step, syscall.Errno(r.Value)}
}

// An Error is a step that failed.
type Error struct {
	Step  Step
	Errno syscall.Errno
}

func (e *Error) Error() string { return e.Step.String() + ": " + e.Errno.Error() }

// Unwrap returns the error number.
func (e *Error) Unwrap() error { return e.Errno }
