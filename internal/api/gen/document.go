package main

import (
	"maps"
	"slices"
)

// A document is what the reference tells of an OpenAPI document.
type document struct {
	Info  struct{ Title, Description string }
	Tags  []struct{ Name, Description string }
	Paths map[string]path

	Components struct {
		Schemas         map[string]schema
		SecuritySchemes map[string]struct{ Description string }
	}
}

type path struct {
	Parameters []parameter
	Get        *operation
	Post       *operation
	Put        *operation
	Patch      *operation
	Delete     *operation
}

type operation struct {
	OperationID string
	Tags        []string
	Summary     string
	Description string
	Parameters  []parameter
	RequestBody *struct {
		Required bool
		Content  map[string]struct{ Schema schema }
	}
	Responses map[string]struct {
		Description string
		Content     map[string]struct{ Schema schema }
	}
}

type parameter struct {
	Name, In, Description string
	Schema                schema
}

type schema struct {
	Ref         string `json:"$ref"`
	Type        string
	Format      string
	Description string
	Example     any
	Default     any
	Enum        []any
	Minimum     *float64
	Maximum     *float64
	MaxLength   *int
	MaxItems    *int
	Items       *schema
	Required    []string
	Properties  map[string]schema
}

// A call is an operation and where it is.
type call struct {
	method, path string
	*operation
	inPath []parameter
}

// calls returns what has the tag, in the order of paths and methods.
func (d *document) calls(tag string) []call {
	var found []call
	for _, name := range slices.Sorted(maps.Keys(d.Paths)) {
		p := d.Paths[name]
		for _, c := range []call{
			{"GET", name, p.Get, p.Parameters}, {"POST", name, p.Post, p.Parameters}, {"PUT", name, p.Put, p.Parameters},
			{"PATCH", name, p.Patch, p.Parameters}, {"DELETE", name, p.Delete, p.Parameters},
		} {
			if c.operation != nil && slices.Contains(c.Tags, tag) {
				found = append(found, c)
			}
		}
	}
	return found
}
