package config

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"github.com/hashicorp/hcl/v2"
)

// Problems is what was found wrong with a configuration, in the order of its files.
type Problems struct {
	path  string // of the main file
	list  hcl.Diagnostics
	files map[string]*hcl.File
	order map[string]int // of the files, as they were opened
}

// A Problem is one of them in a form for programs.
type Problem struct {
	File     string `json:"file"`
	Line     int    `json:"line"`     // 0: the problem is the whole file
	Column   int    `json:"column"`   // in characters, from 1
	Severity string `json:"severity"` // "error" or "warning"
	Summary  string `json:"summary"`
	Detail   string `json:"detail"`
}

func newProblems(path string) *Problems {
	return &Problems{path: path, files: map[string]*hcl.File{}, order: map[string]int{}}
}

// HasErrors says whether one of the problems is more than a warning.
func (p *Problems) HasErrors() bool { return p.list.HasErrors() }

// Err returns the first error and how many more there are, or nil when there is none.
func (p *Problems) Err() error {
	var found []Problem
	for _, problem := range p.List() {
		if problem.Severity == "error" {
			found = append(found, problem)
		}
	}
	if len(found) == 0 {
		return nil
	}
	first, more := found[0], ""
	if n := len(found) - 1; n > 0 {
		more = fmt.Sprintf(" (and %d more)", n)
	}
	return fmt.Errorf("%s:%d: %s: %s%s", first.File, first.Line, first.Summary, first.Detail, more)
}

// WriteText writes all problems for people, each with its source line, with terminal colours if colour is set.
func (p *Problems) WriteText(w io.Writer, colour bool) error {
	return hcl.NewDiagnosticTextWriter(w, p.files, 0, colour).WriteDiagnostics(p.list)
}

// List returns all problems for programs. It is empty, not nil, when there are none.
func (p *Problems) List() []Problem {
	list := make([]Problem, 0, len(p.list))
	for _, d := range p.list {
		problem := Problem{File: p.path, Severity: "error", Summary: d.Summary, Detail: d.Detail}
		if d.Severity == hcl.DiagWarning {
			problem.Severity = "warning"
		}
		if d.Subject != nil {
			problem.File, problem.Line, problem.Column = d.Subject.Filename, d.Subject.Start.Line, d.Subject.Start.Column
		}
		list = append(list, problem)
	}
	return list
}

// add takes problems in. The values that an expression was evaluated with are left behind: the text writer would print them.
func (p *Problems) add(diagnostics ...*hcl.Diagnostic) {
	for _, d := range diagnostics {
		d.Expression, d.EvalContext = nil, nil
		p.list = append(p.list, d)
	}
}

func (p *Problems) sort() {
	position := func(d *hcl.Diagnostic) (file, offset int) {
		if d.Subject == nil {
			return -1, 0
		}
		return p.order[d.Subject.Filename], d.Subject.Start.Byte
	}
	slices.SortStableFunc(p.list, func(a, b *hcl.Diagnostic) int {
		aFile, aOffset := position(a)
		bFile, bOffset := position(b)
		return cmp.Or(cmp.Compare(aFile, bFile), cmp.Compare(aOffset, bOffset),
			cmp.Compare(a.Summary, b.Summary), cmp.Compare(a.Detail, b.Detail))
	})
}
