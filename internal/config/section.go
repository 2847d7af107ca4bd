package config

import (
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"jackfield/internal/access"
)

// A section is the content of one block while it is decoded. Its methods read an argument by name, report what is wrong with
// it, and return the default, or the zero value, where there is nothing good to return.
type section struct {
	*loader
	schema     *block
	label      item
	header     hcl.Range // where the block begins
	attributes hcl.Attributes
	blocks     hcl.Blocks
}

// An item is a string and where it stands.
type item struct {
	text string
	at   hcl.Range
}

// open checks the names in a body against the schema.
func (l *loader) open(schema *block, body hcl.Body, header hcl.Range) *section {
	content, diagnostics := body.Content(schema.hcl())
	l.problems.add(diagnostics...)
	s := &section{loader: l, schema: schema, header: header, attributes: content.Attributes, blocks: content.Blocks}
	for _, a := range schema.attributes {
		if a.required && !s.has(a.name) {
			s.missing(header, "Missing required argument", "The argument %q is required. %s", a.name, a.doc)
		}
	}
	return s
}

// openBlock opens a block inside s.
func (l *loader) openBlock(schema *block, b *hcl.Block) *section {
	s := l.open(schema, b.Body, b.DefRange)
	if schema.label != "" {
		s.label = item{b.Labels[0], b.LabelRanges[0]}
	}
	return s
}

// each returns the blocks of one kind inside s.
func (s *section) each(schema *block) []*section {
	var sections []*section
	for _, b := range s.blocks.OfType(schema.name) {
		sections = append(sections, s.openBlock(schema, b))
	}
	return sections
}

// one returns the block of a kind that may stand once, or nil.
func (s *section) one(schema *block) *section {
	all := s.each(schema)
	if len(all) == 0 {
		return nil
	}
	for _, again := range all[1:] {
		s.fail(again.header, "Duplicate "+schema.name+" block", "The block %q stands already at %s.", schema.name, s.where(all[0].header))
	}
	return all[0]
}

func (s *section) has(name string) bool { return s.attributes[name] != nil }

// at is where an argument stands, or the block if it does not.
func (s *section) at(name string) hcl.Range {
	if a := s.attributes[name]; a != nil {
		return a.Expr.Range()
	}
	return s.header
}

// checkOnly reports the arguments that cannot stand with what was selected.
func (s *section) checkOnly(selected string) {
	for _, a := range s.schema.attributes {
		if a.only != "" && a.only != selected && s.has(a.name) {
			s.fail(s.attributes[a.name].NameRange, "Argument out of place", "%q may stand only with %s.",
				a.name, s.schema.selector+a.only)
		}
	}
}

// bad reports an argument's value. The reason must not hold the value.
func (s *section) bad(at hcl.Range, name, reason string) {
	s.fail(at, fmt.Sprintf("Bad value of %q", name), "%s.", strings.ToUpper(reason[:1])+reason[1:])
}

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
	a := s.schema.attribute(name)
	value, ok := s.string(name)
	if !ok {
		return ""
	}
	for _, w := range a.kind.(word) {
		if w == value {
			return w
		}
	}
	words := a.kind.(word)
	s.fail(s.at(name), fmt.Sprintf("Bad value of %q", name), "It can be %s.%s %s",
		strings.Join(quoteAll(words), ", "), didYouMean(value, words), a.doc)
	return ""
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

// count returns a whole number; 0 when the argument is not set and has no default.
func (s *section) count(name string) int {
	k := s.schema.attribute(name).kind.(count)
	value, ok := s.value(name)
	if !ok {
		return 0
	}
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

// list returns a list of strings, each with its place. What is no string is reported and left out.
func (s *section) list(name string) []item {
	if !s.has(name) {
		return nil
	}
	expr := s.attributes[name].Expr
	elements, diagnostics := hcl.ExprList(expr)
	if diagnostics.HasErrors() {
		return s.computedList(name)
	}
	if len(elements) == 0 {
		s.bad(expr.Range(), name, "the list is empty; leave the argument out")
	}
	var items []item
	for _, element := range elements {
		value, ok := s.evaluate(element)
		if !ok {
			continue
		}
		if value.IsNull() || value.Type() != cty.String {
			s.bad(element.Range(), name, "each element must be a string")
			continue
		}
		items = append(items, item{value.AsString(), element.Range()})
	}
	return items
}

// computedList is list for an expression whose elements have no places of their own.
func (s *section) computedList(name string) []item {
	value, ok := s.value(name)
	if !ok {
		return nil
	}
	if !value.CanIterateElements() || value.Type().IsObjectType() || value.Type().IsMapType() {
		s.bad(s.at(name), name, `a list of strings is required, such as ["…"]`)
		return nil
	}
	var items []item
	for _, element := range value.AsValueSlice() {
		if element.IsNull() || element.Type() != cty.String {
			s.bad(s.at(name), name, "each element must be a string")
			continue
		}
		items = append(items, item{element.AsString(), s.at(name)})
	}
	return items
}

// textOrList returns one string as a list of one.
func (s *section) textOrList(name string) []item {
	if !s.has(name) {
		return nil
	}
	if _, diagnostics := hcl.ExprList(s.attributes[name].Expr); !diagnostics.HasErrors() {
		return s.list(name)
	}
	value, ok := s.value(name)
	if !ok {
		return nil
	}
	if value.Type() == cty.String {
		return []item{{value.AsString(), s.at(name)}}
	}
	return s.computedList(name)
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
