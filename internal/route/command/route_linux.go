package command

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"syscall"
	"time"

	"jackfield"
	"jackfield/internal/route/command/forkserver"
)

// A Route starts a program for each session. It is safe for concurrent use.
type Route struct {
	spec       forkserver.Spec // all but what the session adds to the environment
	logsStderr bool
	sockEnv    bool
	resolver   Resolver // nil: names are not looked up
	grace      time.Duration
	launcher   *Launcher
	log        *slog.Logger
}

var _ jackfield.SocketTaker = (*Route)(nil)

// New checks the options and returns their route. Its error names everything that is wrong: a program that is not there or
// that its user may not execute, an unknown user or group, what only root may ask for. Permissions are judged by the mode
// bits of the program and of the directories on its path.
func New(o Options) (*Route, error) {
	if !forkserver.Supported {
		return nil, errors.New("services that are programs need Linux on amd64 or arm64")
	}
	var found problems
	who := found.credential(o)
	environment := found.environment(o, who)
	spec := forkserver.Spec{
		Path:        found.program(o, who, environment),
		Environment: environment.list(),
		Directory:   found.directory(o, who),
		Umask:       found.umask(o),
		Nice:        found.nice(o),
		Limits:      found.limits(o.Limits),
		Identity:    who.change,
	}
	if len(o.Command) > 0 {
		spec.Args = append([]string{o.Command[0]}, o.Command[1:]...)
		if o.Arg0 != "" {
			spec.Args[0] = o.Arg0
		}
	}
	found.sizes(&spec)
	found.rest(o)
	if err := errors.Join(found...); err != nil {
		return nil, err
	}
	return newRoute(o, spec), nil
}

func newRoute(o Options, spec forkserver.Spec) *Route {
	r := &Route{
		spec:       spec,
		logsStderr: o.Stderr != StderrSocket,
		sockEnv:    o.SockEnv,
		grace:      o.KillGrace,
		launcher:   o.Launcher,
		log:        o.Log,
	}
	if r.grace == 0 {
		r.grace = DefaultKillGrace
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if o.Resolve {
		r.resolver = o.Resolver
		if r.resolver == nil {
			r.resolver = net.DefaultResolver
		}
	}
	return r
}

// String returns "command" and the program's path, without its arguments.
func (r *Route) String() string { return "command " + r.spec.Path }

// problems are what is wrong with the options.
type problems []error

func (p *problems) add(format string, args ...any) { *p = append(*p, fmt.Errorf(format, args...)) }

// maxSpec leaves room for what a session adds to the environment.
const maxSpec = 60 << 10

func (p *problems) sizes(spec *forkserver.Spec) {
	request, err := spec.Encode(0, true)
	switch {
	case errors.Is(err, syscall.EINVAL):
		p.add("the command has a NUL byte")
	case err != nil || len(request) > maxSpec:
		p.add("the command and its environment have more than %d bytes", maxSpec)
	}
}

func (p *problems) rest(o Options) {
	switch o.Stderr {
	case "", StderrLog, StderrSocket:
	default:
		p.add("stderr is %q; it can be %q or %q", o.Stderr, StderrLog, StderrSocket)
	}
	if o.KillGrace < 0 {
		p.add("the grace before SIGKILL is negative")
	}
	if o.Launcher == nil {
		p.add("there is no launcher")
	}
}

func (p *problems) directory(o Options, who credential) string {
	directory := o.Directory
	if directory == "" {
		directory = "/"
	}
	if !filepath.IsAbs(directory) {
		p.add("directory %q is not an absolute path", directory)
	} else if err := who.mayEnter(directory); err != nil {
		p.add("directory: %w", err)
	}
	return directory
}
