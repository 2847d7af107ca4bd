package config

import (
	"cmp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// A block says what may stand in one kind of block. Decoding, defaults and the reference all follow it.
type block struct {
	name       string // empty: the file itself
	label      string // what the label is, such as "NAME"; a block without one may stand once
	doc        string // Markdown, whole sentences
	changes    effect // of its attributes that do not say it themselves
	selector   string // in the reference, what attribute.only is compared with: "only with SELECTOR ONLY"
	attributes []attribute
	blocks     []*block
}

// An attribute is one argument of a block.
type attribute struct {
	name     string
	kind     kind
	required bool
	fallback string   // the default, as it would be written; empty: none
	changes  effect   // empty: the block's
	only     []string // with which protocols or route it may stand; none: with every one
	doc      string   // Markdown, whole sentences; also shown when the argument is missing or bad
}

// An effect is when a change has effect on a server that runs.
type effect string

const (
	atOnce      effect = "at once"
	newSessions effect = "for new sessions"
	restart     effect = "need a restart" // a reload that changes it is refused; Config.FixedChanges knows each
)

// goesWith says whether the attribute may stand with what is selected. Empty: nothing is.
func (a attribute) goesWith(selected string) bool {
	return len(a.only) == 0 || slices.Contains(a.only, selected)
}

// condition is what the attribute may stand with, in words.
func (b *block) condition(a attribute) string { return b.selector + alternatives(a.only) }

// alternatives joins words as in "a, b or c".
func alternatives(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// effect is when a change of one of the block's attributes has effect.
func (b *block) effect(a attribute) effect { return cmp.Or(a.changes, b.changes) }

// hcl returns the schema that the HCL library checks names against. Required arguments are checked by section, which knows
// more to say about them.
func (b *block) hcl() *hcl.BodySchema {
	schema := &hcl.BodySchema{}
	for _, a := range b.attributes {
		schema.Attributes = append(schema.Attributes, hcl.AttributeSchema{Name: a.name})
	}
	for _, inner := range b.blocks {
		header := hcl.BlockHeaderSchema{Type: inner.name}
		if inner.label != "" {
			header.LabelNames = []string{inner.label}
		}
		schema.Blocks = append(schema.Blocks, header)
	}
	return schema
}

func (b *block) attribute(name string) *attribute {
	for i := range b.attributes {
		if b.attributes[i].name == name {
			return &b.attributes[i]
		}
	}
	panic("the schema of " + b.name + " has no argument " + name) // decoding asks for what the schema does not have
}

// onlyWith returns attributes that may stand only with what is selected.
func onlyWith(selected []string, attributes []attribute) []attribute {
	attributes = slices.Clone(attributes)
	for i := range attributes {
		attributes[i].only = selected
	}
	return attributes
}
