package config

import (
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"jackfield"
)

// named is the blocks of one kind by name, in lower case. The first of a name stays.
type named[T any] struct {
	byName map[string]*T
	at     map[string]hcl.Range
	order  []*T // all, duplicates too
}

// add takes a block in. When its name is taken it says where.
func (n *named[T]) add(name string, at hcl.Range, value *T) (first hcl.Range, again bool) {
	n.order = append(n.order, value)
	if first, again := n.at[name]; again {
		return first, true
	}
	if n.byName == nil {
		n.byName, n.at = map[string]*T{}, map[string]hcl.Range{}
	}
	n.byName[name], n.at[name] = value, at
	return hcl.Range{}, false
}

func (n *named[T]) names() []string { return slices.Sorted(maps.Keys(n.byName)) }

func (l *loader) duplicate(kind string, at, first hcl.Range) {
	article := "A"
	if kind == "agent" {
		article = "An"
	}
	l.fail(at, "Duplicate "+kind, "%s %s of this name, compared without case, is already defined at %s.", article, kind, l.where(first))
}

// labelName returns the block's label in lower case, having checked that it is a DNS label.
func (s *section) labelName() string {
	label := s.label.text
	switch err := jackfield.CheckLabel(label); {
	case strings.Contains(label, ".") && s.schema == serviceBlock:
		s.fail(s.label.at, "Bad name", `A name has no dot here: the service "console.fpga-1" is the block service "console" inside of station "fpga-1".`)
	case err != nil:
		s.fail(s.label.at, "Bad name", "A name is a DNS label, but %v.", err)
	}
	return strings.ToLower(label)
}

// claim reports an address that is listened on already. Port 0 is a different one each time.
func (l *loader) claim(listen string, at hcl.Range) {
	if listen == "" {
		return
	}
	address := canonicalAddress(listen)
	if strings.HasSuffix(address, ":0") {
		return
	}
	if first, taken := l.claimed[address]; taken {
		l.fail(at, "Address in use", "The same address is listened on at %s.", l.where(first))
		return
	}
	l.claimed[address] = at
}
