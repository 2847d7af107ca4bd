package importer

import (
	"bytes"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
)

// printer writes HCL without a layout: that is hclwrite's.
type printer struct {
	bytes.Buffer
	notes int
}

func (d *document) write(program string, files []File) *Result {
	p := &printer{}
	p.head(program, files)
	for _, text := range d.notes {
		p.note(text)
	}
	result := &Result{}
	mux := d.muxListeners()
	for _, e := range d.entries {
		p.WriteByte('\n')
		p.entry(e, mux)
		result.Listeners += len(e.listeners)
		if e.service != nil {
			result.Services++
		}
	}
	result.Notes = p.notes
	result.hcl = p.Bytes()
	return result
}

func (d *document) muxListeners() []string {
	var mux []string
	for _, e := range d.entries {
		for _, l := range e.listeners {
			if l.mux {
				mux = append(mux, l.name)
			}
		}
	}
	return mux
}

func (p *printer) head(program string, files []File) {
	p.comment(fmt.Sprintf("Written by jackfield import %s.", program))
	for _, file := range files {
		p.comment("Source: " + excerpt(file.Name))
	}
	p.comment(`Read the comments, above all "not translated", then run: jackfield check FILE`)
}

func (p *printer) comment(text string) { fmt.Fprintf(p, "# %s\n", text) }

// note is a comment that counts.
func (p *printer) note(text string) {
	p.notes++
	p.comment(text)
}

func (p *printer) entry(e *entry, mux []string) {
	for _, text := range e.remarks {
		p.comment(text)
	}
	if e.service == nil && len(e.listeners) == 0 {
		p.inner(e)
		return
	}
	p.comment(excerpt(e.where))
	for i, l := range e.listeners {
		if i > 0 {
			p.WriteByte('\n')
		}
		p.listener(e, l)
	}
	if e.service != nil {
		if len(e.listeners) > 0 {
			p.WriteByte('\n')
		}
		p.service(e, mux)
	}
}

// inner writes the notes of an entry into its block.
func (p *printer) inner(e *entry) {
	for _, text := range e.notes {
		p.note(text)
	}
}

func (p *printer) listener(e *entry, l *listener) {
	p.open("listener", l.name)
	if e.service == nil && l == e.listeners[0] {
		p.inner(e)
	}
	protocol := "tcp"
	if l.mux {
		protocol = "tcpmux"
	}
	p.set("protocol", quote(protocol))
	p.set("listen", quote(l.listen()))
	if e.service != nil {
		p.set("service", quote(e.service.name))
	}
	p.limits(l.limits)
	p.rules(l.access())
	p.close()
}

func (p *printer) service(e *entry, mux []string) {
	s := e.service
	p.open("service", s.name)
	p.inner(e)
	switch {
	case s.mux && len(mux) == 0:
		p.note("published nowhere: the source has no tcpmux entry to reach it by")
	case s.mux:
		p.set("listeners", list(mux))
	}
	switch {
	case s.program != nil:
		p.program(s)
	case s.builtin != "":
		p.set("builtin", quote(s.builtin))
	default:
		p.set("address", quote(s.address))
	}
	p.limits(s.limits)
	if s.program != nil {
		p.resources(s.program.limits)
	}
	p.rules(s.rules)
	p.close()
}

func (p *printer) program(s *service) {
	run := s.program
	p.set("command", list(append([]string{run.path}, run.args...)))
	if run.arg0 != "" {
		p.set("arg0", quote(run.arg0))
	}
	if s.mux {
		mode := "plus"
		if run.dedicated {
			mode = "dedicated"
		}
		p.set("mode", quote(mode))
	}
	for _, a := range [][2]string{{"user", run.user}, {"group", run.group}, {"umask", run.umask}} {
		if a[1] != "" {
			p.set(a[0], quote(a[1]))
		}
	}
	if run.nice != 0 {
		p.set("nice", strconv.Itoa(run.nice))
	}
	p.set("stderr", quote("socket"))
	if len(run.env) > 0 {
		p.environment(run.env)
	}
	if len(run.keep) > 0 {
		p.set("env_keep", list(run.keep))
	}
}

func (p *printer) environment(env []variable) {
	p.WriteString("env = {\n")
	for _, v := range env {
		name := v.name
		if !hclsyntax.ValidIdentifier(name) || name == "for" { // "{ for" begins an expression
			name = quote(name)
		}
		p.set(name, quote(v.value))
	}
	p.close()
}

func (p *printer) limits(l limits) {
	for _, count := range []struct {
		name  string
		value int
	}{{"max_sessions", l.sessions}, {"max_sessions_per_source", l.sessionsPerSource}} {
		if count.value > 0 {
			p.set(count.name, strconv.Itoa(count.value))
		}
	}
	for _, r := range []struct {
		name string
		rate
	}{{"max_rate", l.rate}, {"max_rate_per_source", l.ratePerSource}} {
		if r.count > 0 {
			p.set(r.name, quote(fmt.Sprintf("%d/%s", r.count, r.per)))
		}
	}
}

func (p *printer) resources(limits []limit) {
	if len(limits) == 0 {
		return
	}
	p.WriteString("limits {\n")
	for _, l := range limits {
		p.set(l.name, strconv.FormatUint(l.value, 10))
	}
	p.close()
}

func (p *printer) rules(rules []rule) {
	for _, r := range rules {
		label := "deny"
		if r.allow {
			label = "allow"
		}
		if len(r.from) == 0 && r.when == "" {
			fmt.Fprintf(p, "rule %q {}\n", label)
			continue
		}
		from := ""
		if len(r.from) > 0 {
			from = list(texts(r.from))
		}
		if r.when == "" && !strings.Contains(from, "\n") {
			fmt.Fprintf(p, "rule %q { from = %s }\n", label, from)
			continue
		}
		p.open("rule", label)
		if from != "" {
			p.set("from", from)
		}
		if r.when != "" {
			p.set("when", r.when)
		}
		p.close()
	}
}

// texts writes networks, each once; one of a single address as that.
func texts(networks []netip.Prefix) []string {
	var out []string
	seen := map[netip.Prefix]bool{}
	for _, n := range networks {
		if seen[n] {
			continue
		}
		seen[n] = true
		if n.IsSingleIP() {
			out = append(out, n.Addr().String())
		} else {
			out = append(out, n.String())
		}
	}
	return out
}

func (p *printer) open(kind, label string)     { fmt.Fprintf(p, "%s %q {\n", kind, label) }
func (p *printer) close()                      { p.WriteString("}\n") }
func (p *printer) set(name, expression string) { fmt.Fprintf(p, "%s = %s\n", name, expression) }

// quote writes a string so that nothing in it is a template.
func quote(s string) string { return string(hclwrite.TokensForValue(cty.StringVal(s)).Bytes()) }

func list(elements []string) string {
	const width = 100
	quoted := make([]string, len(elements))
	for i, s := range elements {
		quoted[i] = quote(s)
	}
	if line := "[" + strings.Join(quoted, ", ") + "]"; len(line) <= width {
		return line
	}
	return "[\n" + strings.Join(quoted, ",\n") + ",\n]"
}

// isText says whether HCL can hold a string unchanged: it normalises Unicode.
func isText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, isControl) && cty.NormalizeString(s) == s
}

func isControl(r rune) bool { return unicode.IsControl(r) && r != '\t' }

// excerpt makes what stands in a source fit for a comment.
func excerpt(s string) string {
	const longest, looked = 200, 2000
	whole := len(s) <= looked
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r) || r == utf8.RuneError:
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s[:min(len(s), looked)], "?"))
	s = strings.Join(strings.Fields(s), " ")
	if whole && len(s) <= longest {
		return s
	}
	return strings.ToValidUTF8(s[:min(len(s), longest)], "") + "…"
}
