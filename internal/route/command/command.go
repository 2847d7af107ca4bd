// Package command is the route to services that are programs, in the manner of inetd: each session has a process of its
// own, whose standard input and output are the client.
//
//	launcher := command.NewLauncher() // one for the whole server
//	defer launcher.Close()
//	route, err := command.New(command.Options{Command: []string{"/bin/cat"}, User: "nobody", Launcher: launcher})
//
// Rules:
//   - A client on a bare TCP socket is given to the program as it is (TakeSocket); for any other there is a socketpair
//     (Open). After the hand-over the server never reads from the socket while the program lives, and never writes to it.
//   - The program is ready when its process has its limits, user and directory, may execute the file, and waits. It goes
//     on only in Serve or jackfield.Program.Bare, so it can never speak before the listener did.
//   - The session ends when the process that was started (the leader) exits, whatever its descendants do. Who belongs to
//     its process group gets SIGTERM, and after the grace SIGKILL; a descendant that left the group lives on, without the
//     client.
//   - The client sees the end of the answer when the leader exits or shuts its side down (shutdown(2)), not when it merely
//     closes its descriptors: the server holds the socket too.
//   - A program is not told when its client's connection breaks; it sees that in its own reads and writes.
//   - Nothing ends a program when the server is killed. Survivors finds such programs again.
//
// What a program may be given, who may give it, and what the server inherits to it, is in Options. Everything that can be
// known beforehand is checked by New, and by the kernel each time a program starts.
//
// It needs Linux 5.10 on amd64 or arm64. It opens no terminal, confines nothing, restarts nothing, and reaps no orphans
// but those of its own groups.
package command

import (
	"io/fs"
	"log/slog"
	"time"

	"jackfield/internal/resolve"
)

// DefaultKillGrace is the time between SIGTERM and SIGKILL where the options give none.
const DefaultKillGrace = 5 * time.Second

// Stderr is where a program's standard error goes.
type Stderr string

// The places for standard error. The zero value means StderrLog.
const (
	StderrLog    Stderr = "log"    // to the server's log, line by line
	StderrSocket Stderr = "socket" // to the client, as inetd has it
)

// Options say which program serves, and what it runs with. What is not set, a program inherits from the server, except
// for the environment and the directory. (The soft limit on descriptors is the one that the server was started with,
// although Go raises its own, unless the server has set that limit itself.)
type Options struct {
	// Command is the program and its arguments. The program is an absolute path, or a name that is looked up once, by New,
	// in the program's own PATH.
	Command []string
	Arg0    string // the program's name for itself, argv[0]; empty: Command[0]

	// User, Group and Groups are names or numbers. The group and the supplementary groups default to those of the user.
	// Only root can start programs as somebody else.
	User, Group string
	Groups      []string // nil: the user's; empty: none

	Umask     *fs.FileMode // at most 0777
	Directory string       // absolute; empty: "/"
	Nice      int          // -20 to 19, absolute; 0: inherited. Below the server's own it needs root.
	Limits    Limits

	// Env, EnvKeep and EnvUnset make the environment. It has PATH, and HOME, USER and LOGNAME of the user as far as they
	// are known; then the server's variables that EnvKeep names; without those of EnvUnset; then Env. All of it is at most
	// 60 KiB. JACKFIELD_SERVICE, JACKFIELD_SESSION and JACKFIELD_USER (who asks; empty: nobody in particular) are always
	// added.
	Env      map[string]string
	EnvKeep  []string
	EnvUnset []string

	// SockEnv adds PROTO=TCP, SOCKTYPE=STREAM, LOCALIP, LOCALPORT, REMOTEIP and REMOTEPORT. Resolve also adds LOCALHOST and
	// REMOTEHOST where the address has a name that leads back to it: known within two seconds, or left out.
	SockEnv bool
	Resolve bool

	Stderr    Stderr
	KillGrace time.Duration // between SIGTERM and SIGKILL; 0: DefaultKillGrace

	Launcher *Launcher    // starts the processes; required
	Log      *slog.Logger // nil: nothing is logged
	Resolver Resolver     // nil: the system's
}

// Limits are resource limits (setrlimit(2)), soft and hard alike; nil: inherited, math.MaxUint64: none. Only root can set
// one above the server's hard limit.
type Limits struct {
	NoFile *uint64 // descriptors
	NProc  *uint64 // processes of the user, whoever started them
	CPU    *uint64 // seconds
	AS     *uint64 // bytes of address space
	FSize  *uint64 // bytes of a file that is written
	Core   *uint64 // bytes of a core file
}

// A Resolver looks names up, as *net.Resolver does.
type Resolver = resolve.Resolver

// A Survivor is a process of an earlier run of the server: a program, or a descendant that kept its environment.
type Survivor struct {
	PID     int
	Session string
	Service string
}
