package access

import (
	"fmt"
	"strings"

	"jackfield"
)

// Misses says of each rule which argument kept it from matching, for a person who asks why none did: "[0] users and groups, [1] when".
// A rule matches when all of its arguments do. It is empty if one matches, or there is none.
func (a *ACL) Misses(r *jackfield.Request) string {
	var all []string
	for i := range a.rules {
		missed := a.rules[i].misses(r)
		if len(missed) == 0 {
			return ""
		}
		all = append(all, fmt.Sprintf("[%d] %s", i, strings.Join(missed, " and ")))
	}
	return strings.Join(all, ", ")
}

// misses names the arguments that do not match.
func (r *rule) misses(asked *jackfield.Request) (names []string) {
	only := func(part Rule) *rule { return &rule{Rule: part} }
	for _, argument := range []struct {
		name  string
		match func() bool
	}{
		{"from", func() bool { return r.matchesAddress(asked.Source.Addr()) }},
		{"users", func() bool { return only(Rule{Users: r.Users}).matchesIdentity(asked.Identity) }},
		{"groups", func() bool { return only(Rule{Groups: r.Groups}).matchesIdentity(asked.Identity) }},
		{"services", func() bool { return r.matchesService(asked.Service) }},
		{"when", func() bool { return r.matchesCondition(asked) }},
	} {
		if !argument.match() {
			names = append(names, argument.name)
		}
	}
	return names
}

func (r *rule) matchesCondition(asked *jackfield.Request) bool {
	if r.When == nil {
		return true
	}
	matches, err := r.When(asked)
	return matches && err == nil
}
