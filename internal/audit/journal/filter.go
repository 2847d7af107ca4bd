package journal

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"
	"time"

	"jackfield/internal/access"
)

// ErrFilter is wrapped by errors about a filter that makes no sense.
var ErrFilter = errors.New("the filter makes no sense")

// A Filter says which lines are wanted: those that fit all of its fields. A field that is zero fits every line.
type Filter struct {
	Since    time.Time // the line's time or later
	Until    time.Time // before it
	Events   []string  // any of them: open, close, refuse, call, lost, suppressed
	Server   string
	Listener string
	Service  string // a name or a pattern as the rules of services have it, such as "console.*"
	User     string // who was that, or has claimed to be
	Source   netip.Prefix
	ID       string
	End      string
	Text     string // stands somewhere in the line as the file has it, in upper or lower case

	// OldestFirst is the order of what Query returns. Else the newest comes first.
	OldestFirst bool
}

// Check says what is wrong with the filter. The error is ErrFilter.
func (f *Filter) Check() error {
	if f.Service != "" {
		if err := access.CheckPattern(f.Service); err != nil {
			return fmt.Errorf("%w: service %.130q: %w", ErrFilter, f.Service, err)
		}
	}
	if !f.Since.IsZero() && !f.Until.IsZero() && f.Until.Before(f.Since) {
		return fmt.Errorf("%w: it ends before it begins", ErrFilter)
	}
	return nil
}

func (f *Filter) matches(r *Record) bool {
	switch {
	case !f.Since.IsZero() && r.Time.Before(f.Since),
		!f.Until.IsZero() && !r.Time.Before(f.Until),
		len(f.Events) > 0 && !slices.Contains(f.Events, r.Event),
		!fits(f.Server, r.Server),
		!fits(f.Listener, r.Listener),
		!fits(f.User, r.User) && !fits(f.User, r.Claimed),
		!fits(f.ID, r.ID),
		!fits(f.End, r.End),
		f.Source.IsValid() && !f.Source.Contains(r.Source.Addr()),
		f.Service != "" && !matchService(strings.ToLower(f.Service), string(r.Service)):
		return false
	}
	return f.Text == "" || bytes.Contains(bytes.ToLower(r.Line), bytes.ToLower([]byte(f.Text)))
}

func fits(want, have string) bool { return want == "" || want == have }

// matchService wants a pattern that access.CheckPattern accepts: its stars stay within their label.
func matchService(pattern, name string) bool {
	if pattern == "*" {
		return name != ""
	}
	label, station, dotted := strings.Cut(name, ".")
	patternLabel, patternStation, patternDotted := strings.Cut(pattern, ".")
	return dotted == patternDotted && matchLabel(patternLabel, label) && matchLabel(patternStation, station)
}

func matchLabel(pattern, label string) bool {
	matched, err := path.Match(pattern, label)
	return err == nil && matched
}
