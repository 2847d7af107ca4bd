package config

import (
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"
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
	s.checkRequired("")
	s.noteFixed()
	return s
}

// checkRequired reports the arguments that are missing: those that are always required, or those that are with what was
// selected.
func (s *section) checkRequired(selected string) {
	for _, a := range s.schema.attributes {
		due := selected == "" && len(a.only) == 0 || slices.Contains(a.only, selected)
		if a.required && due && !s.has(a.name) {
			s.missing(s.header, "Missing required argument", "The argument %q is required. %s", a.name, a.doc)
		}
	}
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
		s.fail(again.header, "Duplicate "+schema.name+" block", "The block %q is already defined at %s.", schema.name, s.where(all[0].header))
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

// checkSelected reports the arguments that cannot stand with what was selected, and those that must.
func (s *section) checkSelected(selected string) {
	for _, a := range s.schema.attributes {
		if !a.goesWith(selected) && s.has(a.name) {
			s.fail(s.attributes[a.name].NameRange, "Argument out of place", "%q may stand only with %s.",
				a.name, s.schema.condition(a))
		}
	}
	s.checkRequired(selected)
}

// bad reports an argument's value. The reason must not hold the value: the source text is shown instead.
func (s *section) bad(at hcl.Range, name, reason string) {
	s.fail(at, fmt.Sprintf("Bad value of %q", name), "%s%s.", s.source(at), reason)
}
