package config

import (
	"maps"
	"reflect"
	"strings"
	"testing"
)

func TestUnder(t *testing.T) {
	full := Program{
		User: "ann", Group: "lab", Groups: []string{"a", "b"}, Umask: new(0o27), Env: map[string]string{"A": "1"},
		EnvKeep: []string{"B"}, EnvUnset: []string{"C"}, Directory: "/d", Nice: new(3), Limits: map[string]uint64{"cpu": 1},
	}
	for name, c := range map[string]struct{ inner, outer, want Program }{
		"nothing":        {Program{}, Program{}, Program{}},
		"only the inner": {full, Program{}, full},
		"only the outer": {Program{}, full, full},
		"the inner wins": {full, Program{
			User: "bob", Group: "x", Groups: []string{"y"}, Umask: new(0), Env: map[string]string{"A": "2"},
			EnvKeep: []string{"B"}, EnvUnset: []string{"C"}, Directory: "/", Nice: new(0), Limits: map[string]uint64{"cpu": 2},
		}, full},
		"zero is a value": {
			Program{Umask: new(0), Nice: new(0), Limits: map[string]uint64{"core": 0}, Env: map[string]string{"A": ""}},
			Program{Umask: new(0o77), Nice: new(9), Limits: map[string]uint64{"core": 5}, Env: map[string]string{"A": "b"}},
			Program{Umask: new(0), Nice: new(0), Limits: map[string]uint64{"core": 0}, Env: map[string]string{"A": ""}},
		},
		"each for itself": {
			Program{User: "ann", Limits: map[string]uint64{"cpu": 1, "as": Unlimited}, Env: map[string]string{"A": "1"}},
			Program{Group: "lab", Limits: map[string]uint64{"as": 7, "core": 3}, Env: map[string]string{"B": "2"}},
			Program{
				User: "ann", Group: "lab", Limits: map[string]uint64{"cpu": 1, "as": Unlimited, "core": 3},
				Env: map[string]string{"A": "1", "B": "2"},
			},
		},
		"kept instead of set": {
			Program{EnvKeep: []string{"A"}},
			Program{Env: map[string]string{"A": "1", "B": "2"}, EnvKeep: []string{"C"}},
			Program{Env: map[string]string{"B": "2"}, EnvKeep: []string{"C", "A"}},
		},
		"set instead of kept or unset": {
			Program{Env: map[string]string{"A": "1", "B": "2"}},
			Program{EnvKeep: []string{"A"}, EnvUnset: []string{"B"}},
			Program{Env: map[string]string{"A": "1", "B": "2"}},
		},
		"unset": {
			Program{EnvUnset: []string{"A", "B"}},
			Program{Env: map[string]string{"A": "1", "C": "3"}, EnvKeep: []string{"B", "D"}},
			Program{Env: map[string]string{"C": "3"}, EnvKeep: []string{"D"}, EnvUnset: []string{"A", "B"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := asJSON(c.inner) + asJSON(c.outer)
			got := c.inner.Under(c.outer)
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %s, want %s", asJSON(got), asJSON(c.want))
			}
			for name := range got.Env {
				got.Env[name] = "changed"
			}
			for name := range got.Limits {
				got.Limits[name] = 12345
			}
			if after := asJSON(c.inner) + asJSON(c.outer); after != before {
				t.Errorf("what came of %s can change it to %s", before, after)
			}
		})
	}
}

func TestProgramOf(t *testing.T) {
	c := mustLoad(t, "testdata/good/programs.hcl")
	listeners := map[string]*Listener{}
	for _, l := range c.Listeners {
		listeners[l.Name] = l
	}
	services := map[string]*Service{}
	for _, s := range c.Services {
		services[string(s.Name)] = s
	}
	top := map[string]string{"TOP": "top", "LEVEL": "top"}
	with := func(env map[string]string, more ...string) map[string]string {
		env = maps.Clone(env)
		for _, setting := range more {
			name, value, _ := strings.Cut(setting, "=")
			env[name] = value
		}
		return env
	}
	for _, test := range []struct {
		listener, service string
		want              Program
	}{
		{"", "plain", Program{
			Umask: new(0o22), Nice: new(1), Directory: "/srv", Env: top, EnvKeep: []string{"PATH", "TZ"},
			Limits: map[string]uint64{"nofile": 100, "core": 0},
		}},
		{"quiet", "plain", Program{
			Umask: new(0o22), Nice: new(1), Directory: "/srv", Env: top, EnvKeep: []string{"PATH", "TZ"},
			Limits: map[string]uint64{"nofile": 100, "core": 0},
		}},
		{"mux", "plain", Program{
			User: "nobody", Umask: new(0o27), Nice: new(1), Directory: "/srv", Env: with(top, "LEVEL=listener", "TZ=UTC"),
			EnvKeep: []string{"PATH"}, Limits: map[string]uint64{"nofile": 200, "cpu": 10, "core": 0},
		}},
		{"mux", "full", Program{
			User: "daemon", Group: "daemon", Groups: []string{"1", "2"}, Umask: new(0), Nice: new(-5), Directory: "/",
			Env: map[string]string{"LEVEL": "service", "TZ": "UTC"}, EnvKeep: []string{"HOME"}, EnvUnset: []string{"TOP", "PATH"},
			Limits: map[string]uint64{"nofile": Unlimited, "cpu": 10, "core": 0, "as": 1 << 30},
		}},
		{"mux", "inside.station", Program{
			User: "games", Umask: new(0o77), Nice: new(2), Directory: "/srv", Env: with(top, "LEVEL=station", "TZ=UTC", "OWN=yes"),
			EnvKeep: []string{"PATH"}, Limits: map[string]uint64{"nofile": 300, "cpu": 5, "core": 0},
		}},
	} {
		t.Run(test.service+" by "+test.listener, func(t *testing.T) {
			got := c.ProgramOf(listeners[test.listener], services[test.service])
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %s, want %s", asJSON(got), asJSON(test.want))
			}
		})
	}
}

func TestDropsPrivileges(t *testing.T) {
	for source, want := range map[string]bool{
		``: false, `user = "nobody"`: true, `group = "65534"`: true, `groups = ["games"]`: false,
		`service "s" {
			command = ["cat"]
			user    = "nobody"
		}`: false,
	} {
		if got := mustLoad(t, write(t, source)).DropsPrivileges(); got != want {
			t.Errorf("%s: %v", source, got)
		}
	}
}
