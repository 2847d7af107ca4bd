package config

import (
	"cmp"
	"maps"
	"slices"
)

// ProgramOf returns how the program of a service runs for clients of a listener, which may be nil. The service's own word
// counts first, then its station's, the listener's, and that of the file.
func (c *Config) ProgramOf(l *Listener, s *Service) Program {
	p := s.Program
	if s.Station != nil {
		p = p.Under(s.Station.Program)
	}
	if l != nil {
		p = p.Under(l.Program)
	}
	return p.Under(c.Program)
}

// DropsPrivileges says whether the server takes the user or group at the top of the file for its own, once its sockets are
// bound. Programs have them already then, and no listener, station or service names others.
func (c *Config) DropsPrivileges() bool { return c.Program.User != "" || c.Program.Group != "" }

// Under returns what p and the level outside of it come to. P wins in everything that it sets: of limits and environment
// variables, in each.
func (p Program) Under(outer Program) Program {
	merged := Program{
		User:      cmp.Or(p.User, outer.User),
		Group:     cmp.Or(p.Group, outer.Group),
		Groups:    slices.Clone(p.Groups),
		Umask:     cmp.Or(p.Umask, outer.Umask),
		Directory: cmp.Or(p.Directory, outer.Directory),
		Nice:      cmp.Or(p.Nice, outer.Nice),
		Limits:    over(p.Limits, outer.Limits),
	}
	if p.Groups == nil {
		merged.Groups = slices.Clone(outer.Groups)
	}
	left := outer.withoutVariables(p)
	merged.Env = over(p.Env, left.Env)
	merged.EnvKeep = slices.Concat(left.EnvKeep, p.EnvKeep)
	merged.EnvUnset = slices.Concat(left.EnvUnset, p.EnvUnset)
	return merged
}

// withoutVariables returns p without the variables that other names in any way.
func (p Program) withoutVariables(other Program) Program {
	named := func(name string) bool {
		_, set := other.Env[name]
		return set || slices.Contains(other.EnvKeep, name) || slices.Contains(other.EnvUnset, name)
	}
	p.Env = maps.Clone(p.Env)
	maps.DeleteFunc(p.Env, func(name, _ string) bool { return named(name) })
	p.EnvKeep = slices.DeleteFunc(slices.Clone(p.EnvKeep), named)
	p.EnvUnset = slices.DeleteFunc(slices.Clone(p.EnvUnset), named)
	return p
}

// over returns a map of both, in which inner wins.
func over[V any](inner, outer map[string]V) map[string]V {
	merged := maps.Clone(outer)
	if merged == nil {
		return maps.Clone(inner)
	}
	maps.Copy(merged, inner)
	return merged
}
