package config

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"jackfield/internal/access"
)

// loader is one run of Load.
type loader struct {
	dir       string // of the main file; relative paths start there
	problems  *Problems
	functions *hcl.EvalContext // file and env; nil while files are opened

	// secrets is what file and env returned to the expression that is being evaluated.
	secrets []string

	// torn is set when a file cannot be read or breaks the syntax: nothing that then seems missing is reported.
	torn bool

	listeners named[listener]
	services  named[service]
	stations  named[station]
	mappers   named[Mapper]
	devices   named[device]
	agents    named[agent]
	users     named[User]
	groups    named[Group]
	attached  []item // names of mappers, where they are attached

	claimed        map[string]hcl.Range // addresses that are listened on
	globalIdentity []hcl.Range          // rules of the top that need an identity
	droppedAt      *hcl.Range           // what makes the server drop its privileges

	files, dirs []string          // for Config.Files and Config.Dirs
	fixedAt     map[string]string // for Config.fixedAt
}

// Load reads the configuration file at path and those that it includes. The Config is nil when there are errors; the
// problems, which may be warnings only, are never nil.
func Load(path string) (*Config, *Problems) { return valid(load(path, readFile)) }

// Reload is Load for a server at work, which nothing may keep waiting: the main file must be an ordinary one, too. Load also
// reads a pipe, such as /dev/stdin.
func Reload(path string) (*Config, *Problems) { return valid(load(path, readRegular)) }

// LoadText is Reload for a main file that would hold text; path says where it would be.
func LoadText(path string, text []byte) (*Config, *Problems) {
	return valid(load(path, func(_ string, max int) ([]byte, error) {
		if len(text) > max {
			return nil, fmt.Errorf("it has more than %d bytes", max)
		}
		return text, nil
	}))
}

func valid(c *Config, problems *Problems) (*Config, *Problems) {
	if problems.HasErrors() {
		return nil, problems
	}
	return c, problems
}

// DataDir returns the data_dir of a configuration that may have mistakes elsewhere: the server that runs with an earlier
// form of it is still to be found. The error says why even that cannot be read.
func DataDir(path string) (string, error) {
	c, problems := load(path, readFile)
	if c == nil {
		return "", problems.Err()
	}
	return c.DataDir, nil
}

// LoadRules reads a file of rules, and of nothing else. A file without rules is an error: it would let everybody in. The
// rules are nil when there are errors.
func LoadRules(path string) ([]access.Rule, *Problems) {
	s, problems := loadOne(path, rulesFile)
	if s == nil {
		return nil, problems
	}
	rules := s.rules(place{}).rules
	if len(rules) == 0 {
		s.missing(s.header, "No rules", "A list without rules would allow everything. Say so, if that is meant: rule \"allow\" {}.")
	}
	problems.sort()
	if problems.HasErrors() {
		return nil, problems
	}
	return rules, problems
}

// loadOne opens a file that is a configuration of its own. It is nil if the file cannot be read.
func loadOne(path string, schema *block) (*section, *Problems) {
	l := newLoader(path)
	src, err := readFile(path, maxFile)
	if err != nil {
		l.cannotRead(path, err)
		return nil, l.problems
	}
	body := l.parse(path, src)
	l.functions = l.valueFunctions()
	return l.open(schema, body, body.MissingItemRange()), l.problems
}

// rulesFile is the schema of a file of rules.
var rulesFile = &block{doc: "A file of rules.", changes: atOnce, blocks: []*block{ruleBlock}}

func newLoader(path string) *loader {
	return &loader{
		dir:      filepath.Dir(path),
		problems: newProblems(path),
		claimed:  map[string]hcl.Range{},
		fixedAt:  map[string]string{},
	}
}

// load returns all that could be read; nil if that is nothing.
func load(path string, read fileReader) (*Config, *Problems) {
	l := newLoader(path)
	bodies := l.openAll(path, read)
	if bodies == nil {
		return nil, l.problems
	}
	l.functions = l.valueFunctions() // not before: paths of files are shown, so no secret may be in an include
	c := l.decode(hcl.MergeBodies(bodies))
	l.link()
	if l.torn {
		l.problems.add(&hcl.Diagnostic{
			Severity: hcl.DiagWarning,
			Summary:  "Not everything was checked",
			Detail:   "Because of the mistake in the syntax, parts of the configuration were not seen: mend it and check again.",
		})
	}
	c.Files, c.Dirs, c.fixedAt = l.files, l.dirs, l.fixedAt
	l.problems.sort()
	return c, l.problems
}

// fail reports an error at a place in a file.
func (l *loader) fail(at hcl.Range, summary, format string, args ...any) {
	l.report(hcl.DiagError, at, summary, format, args...)
}

func (l *loader) warn(at hcl.Range, summary, format string, args ...any) {
	if !l.torn {
		l.report(hcl.DiagWarning, at, summary, format, args...)
	}
}

// missing reports an error that may come from not seeing a part of a file.
func (l *loader) missing(at hcl.Range, summary, format string, args ...any) {
	if !l.torn {
		l.fail(at, summary, format, args...)
	}
}

func (l *loader) report(severity hcl.DiagnosticSeverity, at hcl.Range, summary, format string, args ...any) {
	l.problems.add(&hcl.Diagnostic{
		Severity: severity, Summary: summary, Detail: fmt.Sprintf(format, args...), Subject: &at,
	})
}

// source returns what stands at a place, if that is short and on one line, with a colon behind it.
func (l *loader) source(at hcl.Range) string {
	const short = 60
	file := l.problems.files[at.Filename]
	if file == nil || !at.CanSliceBytes(file.Bytes) || at.Start.Line != at.End.Line {
		return ""
	}
	src := at.SliceBytes(file.Bytes)
	if len(src) == 0 || len(src) > short {
		return ""
	}
	return string(src) + ": "
}

// where names a place for log and audit: the file relative to the main file's directory, and the line.
func (l *loader) where(at hcl.Range) string {
	file, err := filepath.Rel(l.dir, at.Filename)
	if err != nil {
		file = at.Filename
	}
	return fmt.Sprintf("%s:%d", filepath.ToSlash(file), at.Start.Line)
}

// path makes a path from the configuration relative to the main file's directory.
func (l *loader) path(p string) string {
	if p == "" || isAbsolute(p) {
		return p
	}
	return filepath.Join(l.dir, p)
}

func isAbsolute(p string) bool { return filepath.IsAbs(p) || strings.HasPrefix(p, "/") }
