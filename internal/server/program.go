package server

import (
	"io/fs"
	"log/slog"

	"jackfield"
	"jackfield/internal/config"
	"jackfield/internal/route/command"
)

// NewCommand makes the route of a service that is a program, outside of a server.
func NewCommand(c *config.Command, p config.Program, launcher *command.Launcher, log *slog.Logger) (jackfield.Route, error) {
	return newCommand(c, p, launcher, log)
}

// newCommand makes the route of a service that is a program, as one listener publishes it: the listener may say what it
// runs with, too.
func newCommand(c *config.Command, p config.Program, launcher *command.Launcher, log *slog.Logger) (*command.Route, error) {
	o := command.Options{
		Command:   append([]string{c.Path}, c.Args...),
		Arg0:      c.Arg0,
		User:      p.User,
		Group:     p.Group,
		Groups:    p.Groups,
		Directory: p.Directory,
		Limits:    newLimits(p.Limits),
		Env:       p.Env,
		EnvKeep:   p.EnvKeep,
		EnvUnset:  p.EnvUnset,
		SockEnv:   c.SockEnv,
		Resolve:   c.Resolve,
		KillGrace: c.KillGrace,
		Launcher:  launcher,
		Log:       log,
	}
	if p.Umask != nil {
		umask := fs.FileMode(*p.Umask)
		o.Umask = &umask
	}
	if p.Nice != nil {
		o.Nice = *p.Nice
	}
	if c.StderrSocket {
		o.Stderr = command.StderrSocket
	}
	return command.New(o)
}

func newLimits(given map[string]uint64) command.Limits {
	limit := func(name string) *uint64 {
		if value, set := given[name]; set {
			return &value
		}
		return nil
	}
	return command.Limits{
		NoFile: limit("nofile"),
		NProc:  limit("nproc"),
		CPU:    limit("cpu"),
		AS:     limit("as"),
		FSize:  limit("fsize"),
		Core:   limit("core"),
	}
}
