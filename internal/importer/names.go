package importer

import (
	"fmt"
	"strings"

	"jackfield"
)

const maxLabel = 63 // bytes; RFC 1035, section 2.3.4

// names hands out DNS labels, each once.
type names map[string]bool

// allotNames names listeners and services. TCPMUX services come first, for clients ask for them by name, and of those the
// ones that can keep their names.
func (d *document) allotNames() {
	listeners, services := names{}, names{string(jackfield.Help): true}
	for _, mine := range []func(*entry) bool{
		func(e *entry) bool { return e.service.mux && toLabel(e.asked, maxLabel) == strings.ToLower(e.asked) },
		func(e *entry) bool { return e.service.mux },
		func(*entry) bool { return true },
	} {
		for _, e := range d.entries {
			if e.service != nil && e.service.name == "" && mine(e) {
				e.service.name = services.allot(e.asked)
				e.explainName()
			}
		}
	}
	for _, e := range d.entries {
		for _, l := range e.listeners {
			l.name = listeners.allot(e.asked)
		}
	}
}

// explainName leaves a comment where a service has another name than before.
func (e *entry) explainName() {
	if e.service.name == strings.ToLower(e.asked) {
		return
	}
	text := fmt.Sprintf("named otherwise: %s, %s", excerpt(e.asked), excerpt(e.where))
	if e.service.mux {
		text += fmt.Sprintf(": clients must ask for %s", e.service.name)
	}
	e.notes = append(e.notes, text)
}

// allot returns a name like the one that is asked for.
func (n names) allot(asked string) string {
	const longestSuffix = len("-9999")
	label := toLabel(asked, maxLabel)
	if n[label] {
		stem := toLabel(asked, maxLabel-longestSuffix)
		for i := 2; n[label]; i++ {
			label = fmt.Sprintf("%s-%d", stem, i)
		}
	}
	n[label] = true
	return label
}

// toLabel makes a DNS label of at most max bytes.
func toLabel(s string, max int) string {
	label := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9', r == '-':
			return r
		}
		return '-'
	}, strings.ToLower(s))
	label = strings.Trim(label[:min(len(label), max)], "-")
	if label == "" {
		return "service"
	}
	return label
}
