// Package importer translates the configuration of inetd and xinetd into Jackfield's.
//
//	file, err := importer.ReadFile("/etc/xinetd.conf")
//	...
//	result, err := importer.Options{Include: importer.ReadInclude}.Xinetd(file)
//	...
//	err = result.WriteHCL(os.Stdout)
//
// Its rules are these:
//   - TCPMUX services and plain TCP stream services are translated. What has no equal leaves a comment in the place where it
//     would stand: "# not translated: TEXT, FILE:LINE".
//   - It fails closed. A service is never open to more clients than before: an access restriction that cannot be translated
//     becomes a rule that denies everybody, and what the old server would have refused to start is left out.
//   - The output is a configuration file as docs/configuration.md describes it.
//
// The package reads no file but through Options.Include, resolves no host name and starts nothing. Which statement becomes
// which is in docs/import.md.
package importer

import (
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/hashicorp/hcl/v2/hclwrite"
)

// What is translated at most. The output must fit into one configuration file.
const (
	MaxFile    = 1 << 20 // bytes of one source file, and of the output
	maxEntries = 2000    // services and lines that are left out, in all files; and listeners
	maxFiles   = 256     // source files with those that they include
	maxDepth   = 8       // of inclusion
	maxList    = 1000    // elements of one list of networks or variables; addresses of one line
)

// A File is a configuration file of inetd or xinetd. Its name stands in the comments.
type File struct {
	Name string
	Data []byte
}

// Options say where the translation finds what a configuration refers to. The zero value can be used.
type Options struct {
	// LookupPort returns the port of a service that is named as in /etc/services. nil: net.LookupPort.
	LookupPort func(network, service string) (int, error)

	// Include returns the file that "include PATH" of xinetd.conf names, or with dir those that "includedir PATH" does, in
	// order. nil: such lines become comments.
	Include func(path string, dir bool) ([]File, error)
}

// A Result is a translation.
type Result struct {
	Listeners int
	Services  int
	Notes     int // comments on what is not translated, or not as it was
	hcl       []byte
}

// WriteHCL writes the configuration file.
func (r *Result) WriteHCL(w io.Writer) error {
	_, err := w.Write(r.hcl)
	return err
}

// Inetd translates files in the syntax of inetd.conf. Mistakes in them become comments; an error says that a file or all
// together are too large.
func (o Options) Inetd(files ...File) (*Result, error) {
	t := o.begin()
	for _, file := range files {
		if err := t.read(file, func() error { return t.inetd(file) }); err != nil {
			return nil, err
		}
	}
	return t.finish("inetd", files)
}

// Xinetd translates files in the syntax of xinetd.conf, with those that they include. Errors are those of Inetd.
func (o Options) Xinetd(files ...File) (*Result, error) {
	t := o.begin()
	x := &xinetd{translation: t}
	for _, file := range files {
		if err := t.read(file, func() error { return x.parse(file) }); err != nil {
			return nil, err
		}
	}
	x.translate()
	return t.finish("xinetd", files)
}

// translation is one run.
type translation struct {
	Options
	document
	files     int
	depth     int
	listeners int
}

func (o Options) begin() *translation {
	if o.LookupPort == nil {
		o.LookupPort = net.LookupPort
	}
	return &translation{Options: o}
}

// read runs parse on a file within the bounds.
func (t *translation) read(file File, parse func() error) error {
	t.files++
	t.depth++
	defer func() { t.depth-- }()
	switch {
	case len(file.Data) > MaxFile:
		return fmt.Errorf("%s has more than %d bytes", file.Name, MaxFile)
	case t.files > maxFiles:
		return fmt.Errorf("there are more than %d files", maxFiles)
	}
	return parse()
}

// add takes an entry in.
func (t *translation) add(e *entry) error {
	if len(t.entries) >= maxEntries {
		return fmt.Errorf("%s: there are more than %d services", e.where, maxEntries)
	}
	if t.listeners += len(e.listeners); t.listeners > maxEntries {
		return fmt.Errorf("%s: there are more than %d listeners", e.where, maxEntries)
	}
	t.entries = append(t.entries, e)
	t.resolve(e)
	return nil
}

func (t *translation) finish(program string, files []File) (*Result, error) {
	t.allotNames()
	result := t.write(program, files)
	if len(result.hcl) <= MaxFile {
		result.hcl = hclwrite.Format(result.hcl)
	}
	if len(result.hcl) > MaxFile {
		return nil, errors.New("the translation is larger than a configuration file may be: import the files one by one")
	}
	return result, nil
}
