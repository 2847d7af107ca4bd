package manpage

import (
	"bytes"
	"fmt"
	"strings"
)

// A page is roff with the macros of man(7).
type page struct{ bytes.Buffer }

// macro calls a macro. Arguments are escaped already.
func (p *page) macro(name string, arguments ...string) {
	p.WriteString("." + name)
	for _, a := range arguments {
		p.WriteString(` "` + a + `"`)
	}
	p.WriteByte('\n')
}

// line writes a line of text that is escaped already. One that looks like a macro does so no more.
func (p *page) line(escaped string) {
	if strings.HasPrefix(escaped, ".") {
		p.WriteString(`\&`)
	}
	p.WriteString(escaped + "\n")
}

// text writes paragraphs, which are filled, and the indented lines between them, which are not.
func (p *page) text(plain string) {
	first, literal := true, false // first: nothing parts the text from its heading
	gap := false
	for l := range strings.Lines(strings.Trim(plain, "\n")) {
		l = strings.TrimRight(l, " \t\r\n")
		if l == "" {
			gap = true
			continue
		}
		if indented := strings.HasPrefix(l, " ") || strings.HasPrefix(l, "\t"); indented != literal || gap {
			p.part(first, literal, indented)
			literal = indented
		}
		first, gap = false, false
		p.line(escape(strings.TrimPrefix(strings.ReplaceAll(l, "\t", "  "), "  ")))
	}
	if literal {
		p.end()
	}
}

// part goes from one paragraph, or literal block, to the next.
func (p *page) part(first, from, to bool) {
	switch {
	case from && to:
		p.macro("PP")
		return
	case from:
		p.end()
	}
	if !first {
		p.macro("PP")
	}
	if to {
		p.macro("RS", "4")
		p.macro("nf")
	}
}

// end ends a literal block.
func (p *page) end() {
	p.macro("fi")
	p.macro("RE")
}

func bold(plain string) string   { return `\fB` + escape(plain) + `\fR` }
func italic(plain string) string { return `\fI` + escape(plain) + `\fR` }

// special are the characters that roff takes for something else, or that it shows as others that look alike: who copies
// an example from a page must get what was meant.
var special = strings.NewReplacer(
	`\`, `\e`, `-`, `\-`, `"`, `\(dq`, `'`, `\(aq`, "`", `\(ga`, `^`, `\(ha`, `~`, `\(ti`,
)

// escape makes roff of plain text.
func escape(plain string) string {
	var text strings.Builder
	for _, r := range special.Replace(plain) {
		switch {
		case r == '\n':
			text.WriteByte(' ')
		case r < ' ' || r == 0x7f:
		case r > 0x7f:
			fmt.Fprintf(&text, `\[u%04X]`, r)
		default:
			text.WriteRune(r)
		}
	}
	return text.String()
}
