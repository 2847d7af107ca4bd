//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/term"

	"jackfield/bench/compare"
	"jackfield/bench/gate"
	"jackfield/bench/peer"
)

// A report is everything that a benchmark found out.
type report struct {
	Scenario string            `json:"scenario"`
	Time     time.Time         `json:"time"`
	Machine  string            `json:"machine"`
	Versions map[string]string `json:"versions"`
	Runs     []run             `json:"runs"`

	order []string // of the versions
}

// A run is what was found out as one user.
type run struct {
	User   string          `json:"user"`
	Title  string          `json:"title,omitempty"` // where a user has several runs
	Note   string          `json:"note,omitempty"`  // what a reader must know
	Result *compare.Result `json:"result"`
	Gates  []gateResult    `json:"gates"`

	judged []string // whom the targets are for; empty: the program that all is about
	beside []string // further references for the first of them
}

type gateResult struct {
	Program string `json:"program"`
	gate.Result
}

func newReport(ctx context.Context, scenario string, peers []peer.Peer) (*report, error) {
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return nil, err
	}
	r := &report{Scenario: scenario, Time: time.Now().UTC().Truncate(time.Second), Versions: make(map[string]string)}
	r.Machine = fmt.Sprintf("%d CPUs, Linux %s, %s, benchmark by %s",
		runtime.NumCPU(), strings.TrimSpace(string(kernel)), runtime.GOARCH, runtime.Version())
	for _, p := range peers {
		version, err := p.Version(ctx)
		if err != nil {
			return nil, err
		}
		r.Versions[p.Name()] = version
		r.order = append(r.order, p.Name())
	}
	return r, nil
}

// print writes the report for people.
func (r *report) print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# bench %s, %s\n\n%s\n\n", r.Scenario, r.Time.Format(time.RFC3339), r.Machine)
	for _, name := range r.order {
		fmt.Fprintf(&b, "- %s: %s\n", name, r.Versions[name])
	}
	for _, run := range r.Runs {
		run.print(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r run) print(b *strings.Builder) {
	if len(r.Result.Rows) > 0 {
		fmt.Fprintf(b, "\n## %s\n\n", r.heading())
		if r.Note != "" {
			fmt.Fprintf(b, "%s\n\n", r.Note)
		}
		_, _ = r.Result.Table(r.targeted()...).WriteTo(b) // a Builder takes everything
	}
	first := r.targeted()[0]
	for _, reference := range r.beside {
		fmt.Fprintf(b, "\n### Ratios to %s\n\n", reference)
		_, _ = r.Result.Against(reference, first).Table(first).WriteTo(b)
	}
	if len(r.Result.Failures) > 0 {
		fmt.Fprint(b, "\nSamples that could not be taken:\n\n")
	}
	for _, failure := range r.Result.Failures {
		fmt.Fprintf(b, "- %s\n", failure)
	}
	if len(r.Gates) > 0 {
		fmt.Fprintf(b, "\n## Gates, as %s\n\n", r.User)
		_, _ = r.gateTable().WriteTo(b)
	}
}

func (r run) heading() string {
	if r.Title == "" {
		return "As " + r.User
	}
	return r.Title + ", as " + r.User
}

func (r run) targeted() []string {
	if r.judged == nil {
		return []string{judged}
	}
	return r.judged
}

func (r run) gateTable() compare.Table {
	t := compare.Table{Head: []string{"gate", "program", "passed", "first failure"}}
	var last string
	for _, g := range byGate(r.Gates) {
		label := g.Gate
		if label == last {
			label = ""
		}
		last = g.Gate
		t.Rows = append(t.Rows, []string{label, g.Program, fmt.Sprintf("%d/%d", g.Passed, g.Tries), g.Failure})
	}
	return t
}

// byGate puts the results of one gate beside each other, in the order in which gates and programs came.
func byGate(results []gateResult) []gateResult {
	var names []string
	groups := make(map[string][]gateResult)
	for _, g := range results {
		if groups[g.Gate] == nil {
			names = append(names, g.Gate)
		}
		groups[g.Gate] = append(groups[g.Gate], g)
	}
	var sorted []gateResult
	for _, name := range names {
		sorted = append(sorted, groups[name]...)
	}
	return sorted
}

// save writes every sample to a file, if one is named.
func (r *report) save(name string) error {
	if name == "" {
		return nil
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(name, append(text, '\n'), 0o644)
}

// verdict is an error for every gate that the judged program did not pass.
func (r *report) verdict() error {
	var errs []error
	for _, run := range r.Runs {
		for _, g := range run.Gates {
			if g.Program == judged && !g.OK() {
				errs = append(errs, fmt.Errorf("%s failed a gate as %s: %s, %d of %d passed: %s",
					judged, run.User, g.Gate, g.Passed, g.Tries, g.Failure))
			}
		}
	}
	return errors.Join(errs...)
}

// A ticker shows on a terminal what is being done, and nothing elsewhere.
type ticker struct {
	w      io.Writer
	prefix string
}

func newTicker(w io.Writer, prefix string) ticker {
	if f, ok := w.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		w = io.Discard
	}
	return ticker{w, prefix}
}

const eraseLine = "\r\x1b[K"

func (t ticker) show(text string) { fmt.Fprint(t.w, eraseLine, t.prefix, ", ", text) }
func (t ticker) done()            { fmt.Fprint(t.w, eraseLine) }
