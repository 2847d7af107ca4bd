package importer

import (
	"fmt"
	"slices"
	"strings"
)

// settings is what attributes say. An attribute counts once, with "=": xinetd ignores it the second time. Lists can be
// added to and taken from.
type settings struct {
	single   map[string]attribute
	flags    map[string]bool
	types    map[string]bool
	onlyFrom *addresses
	noAccess *addresses
	env      []variable
	keep     *[]string // passenv; nil: everything
	refused  error     // why xinetd would not start the service
}

// valueCounts is how many values the single attributes have; any number is -1. Those without an equal are not in it.
var valueCounts = map[string]int{
	"socket_type": 1, "protocol": 1, "wait": 1, "user": 1, "group": 1, "server": 1, "server_args": -1, "instances": 1,
	"access_times": -1, "type": -1, "id": 1, "port": 1, "flags": -1, "nice": 1, "redirect": 2, "bind": 1, "per_source": 1,
	"cps": 2, "disable": 1, "rlimit_as": 1, "rlimit_cpu": 1, "rlimit_files": 1,
	"v6only": 1, "umask": 1, "rpc_version": 1, "rpc_number": 1,
}

// withoutEqual is what some attributes leave a comment for, and the reason where there is more to say.
var withoutEqual = map[string]string{
	"log_type": "the log goes to standard error, the audit has a file", "log_on_success": "the audit has every session",
	"log_on_failure": "the audit has every refusal", "banner": "", "banner_success": "", "banner_fail": "", "max_load": "",
	"deny_time": "", "libwrap": "", "mdns": "", "groups": "", "rlimit_data": "", "rlimit_rss": "", "rlimit_stack": "",
}

// inDefaults are the attributes that a defaults block may have.
var inDefaults = []string{
	"log_type", "log_on_success", "log_on_failure", "no_access", "only_from", "passenv", "instances", "per_source", "bind",
	"groups", "banner", "banner_success", "banner_fail", "cps", "max_load", "v6only", "umask", "mdns", "enabled", "disabled",
}

// synonym returns an attribute by its first name.
func synonym(a attribute) attribute {
	if a.name == "interface" {
		a.name = "bind"
	}
	return a
}

func (s *settings) refuse(err error) {
	if s.refused == nil {
		s.refused = err
	}
}

// set takes an attribute in; what has no equal leaves a comment at e.
func (s *settings) set(e *entry, a attribute) {
	text := a.String()
	a = synonym(a)
	if why, found := withoutEqual[a.name]; found {
		e.note(text, a.where, why)
		return
	}
	var err error
	switch a.name {
	case "only_from":
		err = assignAddresses(&s.onlyFrom, a)
	case "no_access":
		err = assignAddresses(&s.noAccess, a)
	case "env":
		err = s.assignEnv(a)
	case "passenv":
		err = s.assignKeep(a)
	default:
		err = s.setSingle(e, a, text)
	}
	if err != nil {
		s.refuse(fmt.Errorf("%s at %s: %w", excerpt(text), a.where, err))
	}
}

func (s *settings) setSingle(e *entry, a attribute, text string) error {
	count, known := valueCounts[a.name]
	_, again := s.single[a.name]
	switch {
	case !known:
		e.note(text, a.where, "xinetd has no such attribute")
	case again, a.operator != "=", count >= 0 && count != len(a.values):
		e.note(text, a.where, "xinetd ignores it: an attribute like this stands once, with = and the right number of values")
	case len(a.values) == 0:
		return fmt.Errorf("a value is missing")
	default:
		if s.single == nil {
			s.single = map[string]attribute{}
		}
		s.single[a.name] = a
		return s.setWords(e, a)
	}
	return nil
}

// setWords reads the words of type and flags.
func (s *settings) setWords(e *entry, a attribute) error {
	var known []string
	var words *map[string]bool
	switch a.name {
	case "type":
		known, words = []string{"RPC", "INTERNAL", "UNLISTED", "SPECIAL", "TCPMUX", "TCPMUXPLUS"}, &s.types
	case "flags":
		known, words = []string{
			"REUSE", "INTERCEPT", "NORETRY", "IDONLY", "NAMEINARGS", "NODELAY", "KEEPALIVE", "NOLIBWRAP", "SENSOR", "IPv4",
			"IPv6", "LABELED",
		}, &s.flags
	default:
		return nil
	}
	*words = map[string]bool{}
	for _, word := range a.values {
		if !slices.Contains(known, word) {
			return fmt.Errorf("%s is unknown", word)
		}
		(*words)[word] = true
		if word == "NORETRY" || word == "INTERCEPT" {
			e.note("flag "+word, a.where, "")
		}
	}
	return nil
}

func assignAddresses(list **addresses, a attribute) error {
	if *list == nil {
		*list = &addresses{}
	}
	return (*list).assign(a.operator, a.values, a.where)
}

// assignEnv sets variables: "NAME=VALUE". There is no "-=".
func (s *settings) assignEnv(a attribute) error {
	if a.operator == "-=" {
		return fmt.Errorf("-= cannot be used")
	}
	if a.operator == "=" {
		s.env = nil
	}
	for _, text := range a.values {
		name, value, isSet := strings.Cut(text, "=")
		if !isSet || name == "" {
			return fmt.Errorf("%s sets no variable", text)
		}
		s.env = slices.DeleteFunc(s.env, func(v variable) bool { return v.name == name })
		if s.env = append(s.env, variable{name, value}); len(s.env) > maxList {
			return errTooLong
		}
	}
	return nil
}

// assignKeep says which variables of the server's are kept.
func (s *settings) assignKeep(a attribute) error {
	if s.keep == nil || a.operator == "=" {
		s.keep = &[]string{}
	}
	for _, name := range a.values {
		*s.keep = slices.DeleteFunc(*s.keep, func(n string) bool { return n == name })
		if a.operator != "-=" {
			*s.keep = append(*s.keep, name)
		}
		if len(*s.keep) > maxList {
			return errTooLong
		}
	}
	return nil
}

// set takes an attribute of a defaults block in. There "=" adds to a list, as "+=" does.
func (d *defaults) set(e *entry, a attribute) {
	switch name := synonym(a).name; {
	case !slices.Contains(inDefaults, name):
		e.note(a.String(), a.where, "xinetd ignores it among the defaults")
		return
	case name == "enabled":
		d.enabled = append(d.enabled, a.values...)
		if d.enabled == nil {
			d.enabled = []string{}
		}
		return
	case name == "disabled":
		d.disabled = append(d.disabled, a.values...)
		return
	case a.operator == "=" && slices.Contains([]string{"only_from", "no_access", "passenv"}, name):
		a.operator = "+="
	}
	d.settings.set(e, a)
	if cps, set := d.single["cps"]; set && cps.where == a.where {
		e.notePause(cps)
	}
}

// inherit copies what a service takes over from the defaults above it, and can change.
func (s *settings) inherit(d *settings) {
	s.onlyFrom, s.noAccess = d.onlyFrom.clone(), d.noAccess.clone()
	if d.keep != nil {
		keep := slices.Clone(*d.keep)
		s.keep = &keep
	}
}

// complete takes over from the defaults of all files what a service does not say itself.
func (s *settings) complete(d *settings) {
	for _, name := range []string{"instances", "per_source", "umask", "cps", "bind", "v6only"} {
		a, found := d.single[name]
		if _, own := s.single[name]; !found || own {
			continue
		}
		if s.single == nil {
			s.single = map[string]attribute{}
		}
		a.inherited = true
		s.single[name] = a
	}
	if d.refused != nil {
		s.refuse(fmt.Errorf("in the defaults, %w", d.refused))
	}
}

// value returns the first value of a single attribute, empty without one.
func (s *settings) value(name string) string {
	if a, found := s.single[name]; found {
		return a.values[0]
	}
	return ""
}
