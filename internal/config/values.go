package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"jackfield/internal/access"
)

// text returns a string.
func (s *section) text(name string) string {
	k := s.schema.attribute(name).kind.(text)
	value, ok := s.string(name)
	if !ok {
		return ""
	}
	if k.check != nil {
		if err := k.check(value); err != nil {
			s.bad(s.at(name), name, err.Error())
			return ""
		}
	}
	return value
}

// word returns one of the words of the schema.
func (s *section) word(name string) string {
	words := s.schema.attribute(name).kind.(word)
	value, ok := s.string(name)
	if !ok {
		return ""
	}
	if !slices.Contains(words, value) {
		s.bad(s.at(name), name, "it must be one of "+strings.Join(quoteAll(words), ", "))
		return ""
	}
	return value
}

func (s *section) duration(name string) time.Duration {
	return parsed(s, name, s.schema.attribute(name).kind.(duration).parse)
}

func (s *section) rate(name string) access.Rate {
	return parsed(s, name, access.ParseRate)
}

// parsed reads a string and parses it. The parser's errors must not hold the value.
func parsed[T any](s *section, name string, parse func(string) (T, error)) (value T) {
	source, ok := s.string(name)
	if !ok {
		return value
	}
	value, err := parse(source)
	if err != nil {
		s.bad(s.at(name), name, err.Error())
	}
	return value
}

// boolean returns true or false; false when the argument is not set and has no default.
func (s *section) boolean(name string) bool {
	value, ok := s.value(name)
	if !ok {
		return false
	}
	set, err := convert.Convert(value, cty.Bool)
	if err != nil || set.IsNull() {
		s.bad(s.at(name), name, "it must be true or false, without quotes")
		return false
	}
	return set.True()
}

// count returns a whole number; 0 when the argument is not set and has no default.
func (s *section) count(name string) int {
	value, ok := s.value(name)
	if !ok {
		return 0
	}
	return s.whole(name, value, s.schema.attribute(name).kind.(count))
}

// whole reads a whole number within the bounds of k.
func (s *section) whole(name string, value cty.Value, k count) int {
	number, err := convert.Convert(value, cty.Number)
	if err != nil || number.IsNull() {
		s.bad(s.at(name), name, "a number is required")
		return 0
	}
	n, accuracy := number.AsBigFloat().Int64()
	if accuracy != 0 || n < int64(k.min) || n > int64(k.max) {
		s.bad(s.at(name), name, fmt.Sprintf("it must be a whole number from %d to %d", k.min, k.max))
		return 0
	}
	return int(n)
}

// size returns a number of bytes, written as a number or as a string.
func (s *section) size(name string) int64 {
	value, ok := s.value(name)
	if !ok {
		return 0
	}
	return s.bytes(name, value)
}

func (s *section) bytes(name string, value cty.Value) int64 {
	source := ""
	switch value.Type() {
	case cty.Number:
		if n, accuracy := value.AsBigFloat().Int64(); accuracy == 0 {
			source = fmt.Sprint(n)
		}
	case cty.String:
		source = value.AsString()
	}
	n, err := parseSize(source)
	if err != nil {
		s.bad(s.at(name), name, err.Error())
	}
	return n
}

const (
	wantList       = `a list of strings is required, such as ["…"]`
	wantTextOrList = `a string or a list of strings is required`
)

// list returns a list of strings, each with its place. What is no string is reported and left out.
func (s *section) list(name string) []item { return s.items(name, wantList) }

// textOrList returns a list of strings; one string is a list of one.
func (s *section) textOrList(name string) []item { return s.items(name, wantTextOrList) }

func (s *section) items(name, want string) []item {
	if !s.has(name) {
		return nil
	}
	elements, diagnostics := hcl.ExprList(s.attributes[name].Expr)
	if diagnostics.HasErrors() {
		return s.computedItems(name, want)
	}
	s.checkNotEmpty(name, "list", len(elements))
	var items []item
	for _, element := range elements {
		if value, ok := s.evaluate(element); ok {
			items = s.appendItem(items, name, value, element.Range())
		}
	}
	return items
}

// computedItems is items for an expression whose elements have no places of their own.
func (s *section) computedItems(name, want string) []item {
	value, ok := s.value(name)
	if !ok {
		return nil
	}
	at := s.at(name)
	kind := value.Type()
	switch {
	case want == wantTextOrList && kind == cty.String:
		return []item{{value.AsString(), at}}
	case !kind.IsTupleType() && !kind.IsListType() && !kind.IsSetType():
		s.bad(at, name, want)
		return nil
	}
	s.checkNotEmpty(name, "list", value.LengthInt())
	var items []item
	for _, element := range value.AsValueSlice() {
		items = s.appendItem(items, name, element, at)
	}
	return items
}

func (s *section) checkNotEmpty(name, what string, length int) {
	if length == 0 {
		s.bad(s.at(name), name, "the "+what+" is empty; leave the argument out")
	}
}

func (s *section) appendItem(items []item, name string, value cty.Value, at hcl.Range) []item {
	if value.IsNull() || value.Type() != cty.String {
		s.bad(at, name, "each element must be a string, in double quotes")
		return items
	}
	return append(items, item{value.AsString(), at})
}

// string returns what an argument or its default is, which must be a string.
func (s *section) string(name string) (string, bool) {
	value, ok := s.value(name)
	if !ok {
		return "", false
	}
	if value.Type() != cty.String {
		s.bad(s.at(name), name, "a string is required, in double quotes")
		return "", false
	}
	return value.AsString(), true
}

// value evaluates an argument, or returns its default. It is false when there is neither, or when that was reported.
func (s *section) value(name string) (cty.Value, bool) {
	a := s.attributes[name]
	if a == nil {
		fallback := s.schema.attribute(name).fallback
		return cty.StringVal(fallback), fallback != ""
	}
	value, ok := s.evaluate(a.Expr)
	if ok && value.IsNull() {
		s.bad(a.Expr.Range(), name, "null is no value; leave the argument out")
		return cty.NilVal, false
	}
	return value, ok
}

// evaluate computes an expression. Its value is without marks, so it must not be shown.
func (l *loader) evaluate(e hcl.Expression) (cty.Value, bool) {
	if names := e.Variables(); len(names) > 0 {
		for _, name := range names {
			at := name.SourceRange()
			l.fail(at, "Unexpected name", "%sthis is no value; a string stands in double quotes.", l.source(at))
		}
		return cty.NilVal, false
	}
	l.secrets = nil
	value, diagnostics := e.Value(l.functions)
	conceal(diagnostics, l.secrets)
	l.problems.add(diagnostics...)
	if diagnostics.HasErrors() {
		return cty.NilVal, false
	}
	value, _ = value.UnmarkDeep()
	return value, value.IsWhollyKnown()
}
