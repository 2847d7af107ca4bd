package importer

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// xinetd is the state of reading xinetd's files. Blocks are translated once all are read: defaults may stand behind them.
type xinetd struct {
	*translation
	defaults defaults
	blocks   []*block
}

// A block is what stands in "service NAME { … }", with what it took over from the defaults above it.
type block struct {
	*entry
	settings
	name string
}

// defaults are what "defaults { … }" blocks say; several add up.
type defaults struct {
	settings
	enabled  []string // ids; nil: all
	disabled []string
}

// xinetdFile is a file of xinetd's while it is read, line by line.
type xinetdFile struct {
	*xinetd
	name  string
	lines []string
	next  int // line

	hasDefaults bool // xinetd ignores further ones of the same file
}

func (x *xinetd) parse(file File) error {
	f := &xinetdFile{xinetd: x, name: file.Name, lines: lines(file.Data)}
	for {
		line, where, more := f.line()
		if !more {
			return nil
		}
		if err := f.item(strings.Fields(line), where); err != nil {
			return err
		}
	}
}

// line returns the next line that is neither empty nor a comment.
func (f *xinetdFile) line() (line, where string, more bool) {
	for f.next < len(f.lines) {
		line := strings.TrimSpace(f.lines[f.next])
		f.next++
		if line != "" && !strings.HasPrefix(line, "#") {
			return line, fmt.Sprintf("%s:%d", excerpt(f.name), f.next), true
		}
	}
	return "", "", false
}

// item reads what stands outside of blocks.
func (f *xinetdFile) item(words []string, where string) error {
	e := &entry{where: where}
	switch {
	case words[0] == "defaults":
		return f.defaultsBlock(e)
	case words[0] == "service" && len(words) > 1:
		return f.serviceBlock(e, words[1])
	case (words[0] == "include" || words[0] == "includedir") && len(words) > 1:
		return f.include(e, words[1], words[0] == "includedir")
	}
	return f.add(e.omit(strings.Join(words, " "), "no service, defaults or include"))
}

// include reads further files. A relative path starts at the directory of the file that includes.
func (f *xinetdFile) include(e *entry, path string, dir bool) error {
	what := "include " + path
	if dir {
		what = "includedir " + path
	}
	switch {
	case f.Include == nil:
		return f.add(e.omit(what, "included files are not read here"))
	case f.depth >= maxDepth:
		return f.add(e.omit(what, fmt.Sprintf("files are included %d deep already", maxDepth)))
	}
	if !strings.HasPrefix(path, "/") {
		path = filepath.Join(filepath.Dir(f.name), path)
	}
	files, err := f.Options.Include(path, dir)
	if err != nil {
		return f.add(e.omit(what, err.Error()))
	}
	for _, file := range files {
		if err := f.read(file, func() error { return f.parse(file) }); err != nil {
			return err
		}
	}
	return nil
}

// attributes calls set for each attribute of a block. It returns an error when xinetd would drop the block.
func (f *xinetdFile) attributes(set func(attribute)) error {
	line, _, more := f.line()
	if !more || line != "{" {
		f.skip()
		return errors.New(`"{" is missing`)
	}
	for {
		line, where, more := f.line()
		switch {
		case !more:
			return errors.New(`"}" is missing`)
		case line == "}":
			return nil
		}
		a, err := parseAttribute(line, where)
		if err != nil {
			f.skip()
			return fmt.Errorf("%s: %w", excerpt(line), err)
		}
		set(a)
	}
}

// skip passes over the rest of a block.
func (f *xinetdFile) skip() {
	for {
		line, _, more := f.line()
		if !more || line == "}" {
			return
		}
	}
}

// An attribute is a line of a block: a name, "=", "+=" or "-=", and values.
type attribute struct {
	name, operator string
	values         []string
	where          string
	inherited      bool // from the defaults
}

func (a attribute) String() string {
	return strings.TrimSpace(a.name + " " + a.operator + " " + strings.Join(a.values, " "))
}

// parseAttribute wants a blank in front of the operator, as xinetd does.
func parseAttribute(line, where string) (attribute, error) {
	if !isText(line) {
		return attribute{}, errNoText
	}
	end := strings.IndexAny(line, blanks+"=")
	if end < 0 || line[end] == '=' {
		return attribute{}, errors.New("a blank and an operator are required behind the name")
	}
	a := attribute{name: line[:end], where: where}
	rest := strings.TrimLeft(line[end:], blanks)
	for _, a.operator = range []string{"=", "+=", "-="} {
		if values, found := strings.CutPrefix(rest, a.operator); found {
			a.values = strings.FieldsFunc(values, func(r rune) bool { return strings.ContainsRune(blanks, r) })
			return a, nil
		}
	}
	return attribute{}, errors.New("the operator is bad")
}

func (f *xinetdFile) serviceBlock(e *entry, name string) error {
	e.asked = name
	b := &block{entry: e, name: name}
	b.inherit(&f.defaults.settings)
	if err := f.attributes(func(a attribute) { b.settings.set(b.entry, a) }); err != nil {
		b.refuse(err)
	}
	if !isText(name) {
		b.refuse(errNoText)
	}
	f.blocks = append(f.blocks, b)
	return f.add(e)
}

func (f *xinetdFile) defaultsBlock(e *entry) error {
	if f.hasDefaults {
		f.skip()
		return f.add(e.omit("defaults", "xinetd ignores all but the first of a file"))
	}
	f.hasDefaults = true
	e.remarks = []string{e.where + ": defaults"}
	err := f.attributes(func(a attribute) { f.defaults.set(e, a) })
	if err != nil {
		f.defaults.refuse(err)
	}
	return f.add(e)
}

// translate makes entries of the blocks.
func (x *xinetd) translate() {
	wrapped := false
	for _, b := range x.blocks {
		b.complete(&x.defaults.settings)
		switch why := x.refusal(b); {
		case x.isOff(b):
			b.remarks, b.notes = []string{switchedOff("service "+b.name, b.where)}, nil
			continue
		case why != nil:
			b.omit("service "+b.name, why.Error())
			continue
		}
		if err := x.fill(b); err != nil {
			b.omit("service "+b.name, err.Error())
			continue
		}
		x.resolve(b.entry)
		wrapped = wrapped || !b.flags["NOLIBWRAP"]
	}
	if wrapped {
		x.notes = append(x.notes, "not translated: /etc/hosts.allow and /etc/hosts.deny, which xinetd may ask for services without the flag NOLIBWRAP")
	}
}
