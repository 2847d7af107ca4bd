package api

import (
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"

	"jackfield"
)

// A schema is a JSON Schema (2020-12), as OpenAPI 3.1 has them.
type schema map[string]any

// schemas collects the schemas of named types, for the document's components.
type schemas map[string]schema

// of returns the schema of a type: of a struct, a reference to its component. The names, descriptions and limits are in the
// tags of its fields: json, doc, enum, example, minimum, maximum, maxLength.
func (s schemas) of(t reflect.Type) schema {
	if fixed := knownSchema(t); fixed != nil {
		return fixed
	}
	if t == reflect.TypeFor[AuditRecord]() {
		s[t.Name()] = auditRecordSchema()
		return reference(t)
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem())
	case reflect.String:
		return schema{"type": "string"}
	case reflect.Bool:
		return schema{"type": "boolean"}
	case reflect.Float32, reflect.Float64:
		return schema{"type": "number"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return schema{"type": "integer", "format": "int64"}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return schema{"type": "integer", "format": "int64", "minimum": 0}
	case reflect.Slice:
		return schema{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return schema{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Struct:
		return s.component(t)
	}
	return schema{}
}

func knownSchema(t reflect.Type) schema {
	switch t {
	case reflect.TypeFor[time.Time]():
		return schema{"type": "string", "format": "date-time"}
	case reflect.TypeFor[Duration]():
		return schema{"type": "string", "pattern": durationPattern, "example": "720h"}
	case reflect.TypeFor[netip.Addr]():
		return schema{"type": "string", "description": "an IP address", "example": "192.0.2.7"}
	case reflect.TypeFor[netip.AddrPort]():
		return schema{"type": "string", "description": "address:port; empty if unknown", "example": "192.0.2.7:4711"}
	case reflect.TypeFor[jackfield.Name]():
		return schema{"type": "string", "example": "console.fpga-1"}
	}
	return nil
}

// component describes a struct once and returns a reference to it.
func (s schemas) component(t reflect.Type) schema {
	if _, done := s[t.Name()]; done {
		return reference(t)
	}
	s[t.Name()] = nil // ends a type that holds itself
	properties, required := schema{}, []string{}
	s.fields(t, properties, &required)
	described := schema{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		described["required"] = required
	}
	s[t.Name()] = described
	return reference(t)
}

func reference(t reflect.Type) schema { return schema{"$ref": "#/components/schemas/" + t.Name()} }

func (s schemas) fields(t reflect.Type, properties schema, required *[]string) {
	for field := range t.Fields() {
		if field.Anonymous && field.Tag.Get("json") == "" {
			inner := field.Type
			optional := inner.Kind() == reflect.Pointer
			if optional {
				inner = inner.Elem()
			}
			ignored := []string{}
			if optional {
				s.fields(inner, properties, &ignored)
			} else {
				s.fields(inner, properties, required)
			}
			continue
		}
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "-" || !field.IsExported() {
			continue
		}
		properties[name] = s.field(field)
		if !strings.Contains(options, "omitempty") && !strings.Contains(options, "omitzero") {
			*required = append(*required, name)
		}
	}
}

func (s schemas) field(field reflect.StructField) schema {
	described := s.of(field.Type)
	tag := field.Tag
	if doc := tag.Get("doc"); doc != "" {
		described["description"] = doc
	}
	if values := tag.Get("enum"); values != "" {
		of := described
		if items, is := described["items"].(schema); is {
			of = items
		}
		of["enum"] = strings.Split(values, ",")
	}
	if example := tag.Get("example"); example != "" {
		described["example"] = example
	}
	for _, limit := range []string{"minimum", "maximum", "minLength", "maxLength", "maxItems"} {
		if n, err := strconv.Atoi(tag.Get(limit)); err == nil {
			described[limit] = n
		}
	}
	return described
}

// auditRecordSchema names the fields that every record has; which others there are depends on what happened.
func auditRecordSchema() schema {
	return schema{
		"type":     "object",
		"required": []string{"event", "time"},
		"properties": schema{
			"event": schema{"type": "string", "description": "what happened: open, close, refuse, call, lost or suppressed"},
			"time":  schema{"type": "string", "format": "date-time"},
		},
		"additionalProperties": true,
	}
}
