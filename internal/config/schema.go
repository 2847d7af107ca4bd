package config

import "github.com/hashicorp/hcl/v2"

// A block says what may stand in one kind of block. Decoding, defaults and the reference all follow it.
type block struct {
	name       string // empty: the file itself
	label      string // what the label is, such as "NAME"; a block without one may stand once
	doc        string // Markdown, whole sentences
	selector   string // in the reference, what attribute.only is compared with: "only with SELECTOR ONLY"
	attributes []attribute
	blocks     []*block
}

// An attribute is one argument of a block.
type attribute struct {
	name     string
	kind     kind
	required bool
	fallback string // the default, as it would be written; empty: none
	only     string // with which protocol or route it may stand; empty: with every one
	doc      string // Markdown, whole sentences; also shown when the argument is missing or bad
}

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
