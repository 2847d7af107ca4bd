package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// What is read at most.
const (
	maxFile     = 1 << 20 // bytes of one configuration file
	maxIncluded = 256     // included files
)

// openAll parses the main file, which read reads, and those that it includes, in order. It returns nil when the main file
// cannot be read at all.
func (l *loader) openAll(path string, read fileReader) []hcl.Body {
	src, err := read(path, maxFile)
	if err != nil {
		l.cannotRead(path, err)
		return nil
	}
	main := l.parse(path, src)
	bodies := []hcl.Body{main}
	for _, included := range l.included(main, path) {
		src, err := readRegular(included.path, maxFile)
		if err != nil {
			l.torn = true
			l.fail(included.at, "Cannot read an included file", "%s: %v.", included.path, err)
			continue
		}
		bodies = append(bodies, l.parse(included.path, src))
	}
	return bodies
}

func (l *loader) cannotRead(path string, err error) {
	l.problems.add(&hcl.Diagnostic{
		Severity: hcl.DiagError,
		Summary:  "Cannot read the configuration",
		Detail:   fmt.Sprintf("%s: %v.", path, err),
	})
}

func (l *loader) parse(path string, src []byte) hcl.Body {
	l.noteFile(path)
	l.problems.order[path] = len(l.problems.order)
	shown := masked(src, path)
	l.problems.files[path] = &hcl.File{Bytes: shown}
	if excess := checkNesting(src, path); excess != nil {
		l.torn = true
		l.problems.add(excess)
		return hcl.EmptyBody()
	}
	file, diagnostics := hclsyntax.ParseConfig(src, path, hcl.InitialPos)
	l.problems.files[path] = &hcl.File{Bytes: shown, Body: file.Body, Nav: file.Nav}
	l.torn = l.torn || diagnostics.HasErrors()
	l.problems.add(withoutEchoes(diagnostics)...)
	return file.Body
}

// withoutEchoes leaves out what the parser says again of each line that follows: a forgotten quote turns every later one
// around.
func withoutEchoes(diagnostics hcl.Diagnostics) hcl.Diagnostics {
	const forgottenQuote, noEnd = "Invalid multi-line string", "Unterminated template string"
	seen := false
	return slices.DeleteFunc(diagnostics, func(d *hcl.Diagnostic) bool {
		echo := seen && (d.Summary == forgottenQuote || d.Summary == noEnd)
		seen = seen || d.Summary == forgottenQuote
		return echo
	})
}

// inclusion is a file to include, and the pattern that says so.
type inclusion struct {
	path string
	at   hcl.Range
}

// included expands the patterns of the main file: in their order, each one's files sorted by name, no file twice.
func (l *loader) included(main hcl.Body, path string) []inclusion {
	content, _, _ := main.PartialContent(&hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "include"}}})
	s := &section{loader: l, schema: rootBlock, attributes: content.Attributes}
	seen := map[string]bool{filepath.Clean(path): true}
	var found []inclusion
	for _, pattern := range s.list("include") {
		for _, match := range l.expand(pattern) {
			if !seen[match] {
				seen[match] = true
				found = append(found, inclusion{match, pattern.at})
			}
		}
	}
	if len(found) > maxIncluded {
		l.fail(found[maxIncluded].at, "Too many included files", "At most %d files are included.", maxIncluded)
		found = found[:maxIncluded]
	}
	return found
}

// expand returns the files of one pattern, or the one file that it names, whether that exists or not.
func (l *loader) expand(pattern item) []string {
	full := filepath.Clean(l.path(pattern.text))
	if !isPattern(pattern.text) {
		return []string{full}
	}
	l.noteDir(full)
	matches, err := filepath.Glob(full)
	if err != nil {
		l.fail(pattern.at, "Bad include pattern", "A pattern has %s, %s and [a-z]; a bracket is not closed.", "*", "?")
	}
	slices.Sort(matches)
	return matches
}

func isPattern(path string) bool { return strings.ContainsAny(path, "*?[") }

// noteFile remembers a file that was read.
func (l *loader) noteFile(path string) {
	if !slices.Contains(l.files, path) {
		l.files = append(l.files, path)
	}
}

// noteDir remembers where a pattern looks for files, as far as that is without wildcards.
func (l *loader) noteDir(pattern string) {
	dir := filepath.Dir(pattern)
	for isPattern(dir) {
		dir = filepath.Dir(dir)
	}
	if !slices.Contains(l.dirs, dir) {
		l.dirs = append(l.dirs, dir)
	}
}

// A fileReader returns a file of at most max bytes. Its errors do not name the file.
type fileReader func(path string, max int) ([]byte, error)

// readFile is the fileReader for any file, and waits for one that is a pipe.
func readFile(path string, max int) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer file.Close()
	return readAll(file, max)
}

// readRegular is the fileReader for what must be an ordinary file. It never waits: a pipe could keep a reload waiting for
// ever.
func readRegular(path string, max int) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer file.Close()
	info, err := file.Stat() // of what was opened, whatever the path names by now
	if err != nil {
		return nil, withoutPath(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not an ordinary file")
	}
	return readAll(file, max)
}

func readAll(file *os.File, max int) ([]byte, error) {
	src, err := io.ReadAll(io.LimitReader(file, int64(max)+1))
	if err != nil {
		return nil, withoutPath(err)
	}
	if len(src) > max {
		return nil, fmt.Errorf("the file has more than %d bytes", max)
	}
	return src, nil
}

func withoutPath(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}
