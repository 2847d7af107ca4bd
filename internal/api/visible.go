package api

import (
	"net/netip"
	"reflect"
	"strings"
	"unicode"

	"jackfield"
)

// Visible makes a text of one line that cannot control a terminal: what is not graphic, line ends too, becomes a question mark.
func Visible(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) {
			return r
		}
		return '?'
	}, strings.ToValidUTF8(s, "?"))
}

// VisibleLines is Visible for a text that may have line ends and tabs.
func VisibleLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		parts := strings.Split(line, "\t")
		for j, part := range parts {
			parts[j] = Visible(part)
		}
		lines[i] = strings.Join(parts, "\t")
	}
	return strings.Join(lines, "\n")
}

// disarm makes every text in an answer visible, so that no command that prints it needs to distrust it, and refuses an answer
// with a malformed name. A field with the tag lines:"true" keeps its line ends. Records of the audit stay as they are: they are
// evidence, and whoever prints one makes it visible.
func disarm(v reflect.Value, lines bool) error {
	switch value := v.Interface().(type) {
	case jackfield.Name:
		if value == "" {
			return nil
		}
		name, err := jackfield.ParseName(string(value))
		v.SetString(string(name))
		return err
	case netip.Addr:
		v.Set(reflect.ValueOf(disarmZone(value)))
		return nil
	case netip.AddrPort:
		v.Set(reflect.ValueOf(netip.AddrPortFrom(disarmZone(value.Addr()), value.Port())))
		return nil
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return disarm(v.Elem(), lines)
		}
	case reflect.Struct:
		for field, value := range v.Fields() {
			if !field.IsExported() {
				continue
			}
			if err := disarm(value, field.Tag.Get("lines") == "true"); err != nil {
				return err
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return nil
		}
		for i := range v.Len() {
			if err := disarm(v.Index(i), lines); err != nil {
				return err
			}
		}
	case reflect.String:
		if lines {
			v.SetString(VisibleLines(v.String()))
		} else {
			v.SetString(Visible(v.String()))
		}
	}
	return nil
}

// disarmZone is for the zone of an IPv6 address, which may be any text.
func disarmZone(a netip.Addr) netip.Addr { return a.WithZone(Visible(a.Zone())) }
