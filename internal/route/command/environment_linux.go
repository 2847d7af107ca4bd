package command

import (
	"context"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"jackfield"
	"jackfield/internal/route/command/forkserver"
)

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// What every program is told.
const (
	serviceVariable = "JACKFIELD_SERVICE"
	sessionVariable = "JACKFIELD_SESSION"
	userVariable    = "JACKFIELD_USER"
)

var (
	reserved      = []string{serviceVariable, sessionVariable, userVariable, forkserver.Variable}
	sockVariables = []string{"PROTO", "SOCKTYPE", "LOCALIP", "LOCALPORT", "REMOTEIP", "REMOTEPORT", "LOCALHOST", "REMOTEHOST"}
)

// variables are an environment.
type variables map[string]string

func (v variables) list() []string {
	list := make([]string, 0, len(v))
	for _, name := range slices.Sorted(maps.Keys(v)) {
		list = append(list, name+"="+v[name])
	}
	return list
}

// environment returns what is the same for all sessions.
func (p *problems) environment(o Options, who credential) variables {
	env := variables{"PATH": defaultPath}
	if who.Entry != nil {
		env["HOME"], env["USER"], env["LOGNAME"] = who.Entry.HomeDir, who.Entry.Username, who.Entry.Username
	}
	for _, name := range o.EnvKeep {
		p.variable(name, "")
		if value, is := os.LookupEnv(name); is {
			env[name] = value
		}
	}
	for _, name := range o.EnvUnset {
		p.variable(name, "")
		delete(env, name)
	}
	for _, name := range slices.Sorted(maps.Keys(o.Env)) {
		p.variable(name, o.Env[name])
		env[name] = o.Env[name]
	}
	if o.SockEnv || o.Resolve {
		for _, name := range sockVariables { // what a client is told must be true
			delete(env, name)
		}
	}
	return env
}

func (p *problems) variable(name, value string) {
	switch {
	case name == "" || strings.Contains(name, "=") || hasNUL(name):
		p.add("%q cannot be the name of an environment variable", name)
	case slices.Contains(reserved, name):
		p.add("the environment variable %s is Jackfield's own", name)
	case hasNUL(value):
		p.add("the environment variable %s has a NUL byte", name)
	}
}

// sessionEnvironment returns the environment of one session's program.
func (r *Route) sessionEnvironment(ctx context.Context, req *jackfield.Request) []string {
	env := slices.Grow(slices.Clip(r.spec.Environment), len(reserved)+len(sockVariables))
	set := func(name, value string) {
		if value != "" {
			env = append(env, name+"="+value)
		}
	}
	env = append(env, serviceVariable+"="+string(req.Service), sessionVariable+"="+req.ID,
		userVariable+"="+req.Identity.User)
	if r.sockEnv {
		set("PROTO", "TCP")
		set("SOCKTYPE", "STREAM")
		if req.Local.IsValid() {
			set("LOCALIP", req.Local.Addr().String())
			set("LOCALPORT", strconv.Itoa(int(req.Local.Port())))
		}
		if req.Source.IsValid() {
			set("REMOTEIP", req.Source.Addr().String())
			set("REMOTEPORT", strconv.Itoa(int(req.Source.Port())))
		}
	}
	if r.resolver != nil {
		local, remote := lookUpNames(ctx, r.resolver, req.Local.Addr(), req.Source.Addr())
		set("LOCALHOST", local)
		set("REMOTEHOST", remote)
	}
	return env
}
