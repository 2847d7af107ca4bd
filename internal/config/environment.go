package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// A variable is an environment variable. Its value is a secret, and so may its name be: it can be computed.
type variable struct {
	name  item
	value string
}

// environment decodes what becomes of environment variables. One block says one thing of a variable.
func (s *section) environment(p *Program) {
	said := map[string]hcl.Range{}
	good := func(argument string, variable item) bool {
		err := checkVariable(variable.text)
		first, again := said[variable.text]
		switch {
		case err != nil:
			s.bad(variable.at, argument, err.Error())
		case again:
			s.bad(variable.at, argument, "the same block says already at "+s.where(first)+" what becomes of this variable")
		}
		said[variable.text] = variable.at
		return err == nil && !again
	}
	for _, v := range s.variables("env") {
		if good("env", v.name) {
			if p.Env == nil {
				p.Env = map[string]string{}
			}
			p.Env[v.name.text] = v.value
		}
	}
	for _, v := range s.list("env_keep") {
		if good("env_keep", v) {
			p.EnvKeep = append(p.EnvKeep, v.text)
		}
	}
	for _, v := range s.list("env_unset") {
		if good("env_unset", v) {
			p.EnvUnset = append(p.EnvUnset, v.text)
		}
	}
}

func checkVariable(name string) error {
	isLetter := func(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' }
	for i := range len(name) {
		if !isLetter(name[i]) && (i == 0 || name[i] < '0' || name[i] > '9') {
			return errors.New("the name of a variable has letters, digits and underscores, and no digit first")
		}
	}
	switch {
	case name == "":
		return errors.New("the name of a variable is empty")
	case strings.HasPrefix(name, "JACKFIELD_"):
		return errors.New("variables that begin with JACKFIELD_ are set by the server")
	}
	return nil
}

// variables returns a map of strings in its order, each name as often as it is written. What is no string is reported and
// left out.
func (s *section) variables(name string) []variable {
	if !s.has(name) {
		return nil
	}
	var found []variable
	pairs, diagnostics := hcl.ExprMap(s.attributes[name].Expr)
	if diagnostics.HasErrors() {
		found = s.computedVariables(name)
	} else {
		s.checkNotEmpty(name, "map", len(pairs))
	}
	for _, pair := range pairs {
		key, keyed := s.evaluate(pair.Key)
		value, valued := s.evaluate(pair.Value)
		if keyed && valued {
			found = s.appendVariable(found, name, key, value, pair.Key.Range(), pair.Value.Range())
		}
	}
	total := 0
	for _, v := range found {
		total += len(v.name.text) + len(v.value)
	}
	if total > maxWords {
		s.bad(s.at(name), name, fmt.Sprintf("the variables of one block may have %d bytes", maxWords))
	}
	return found
}

// computedVariables is variables for an expression whose elements have no places of their own.
func (s *section) computedVariables(name string) []variable {
	value, ok := s.value(name)
	if !ok {
		return nil
	}
	at := s.at(name)
	if kind := value.Type(); !kind.IsObjectType() && !kind.IsMapType() {
		s.bad(at, name, `a map of strings is required, such as { LANG = "C" }`)
		return nil
	}
	s.checkNotEmpty(name, "map", value.LengthInt())
	var found []variable
	for key, element := range value.Elements() {
		found = s.appendVariable(found, name, key, element, at, at)
	}
	return found
}

func (s *section) appendVariable(found []variable, name string, key, value cty.Value, keyAt, valueAt hcl.Range) []variable {
	switch {
	case key.IsNull() || key.Type() != cty.String:
		s.bad(keyAt, name, "the name of a variable must be a string")
	case value.IsNull() || value.Type() != cty.String:
		s.bad(valueAt, name, "the value of a variable must be a string, in double quotes")
	case checkNoNUL(value.AsString()) != nil:
		s.bad(valueAt, name, checkNoNUL(value.AsString()).Error())
	default:
		found = append(found, variable{item{key.AsString(), keyAt}, value.AsString()})
	}
	return found
}
