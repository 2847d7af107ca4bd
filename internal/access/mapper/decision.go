package mapper

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"jackfield"
	"jackfield/wire/mapper"
)

// Acceptable are the keys that Options.Accept may name.
var Acceptable = []string{"max-seconds", "idle-seconds", "audit-note"}

// How many bytes of the program's words are kept.
const (
	maxReason  = 1 << 10 // in log and audit
	maxMessage = 200     // for the client
)

// decide makes a decision of an answer, and of the entries that came with it:
//
//	max-seconds            the session lasts no longer (Options.Accept)
//	idle-seconds           it ends when no byte has moved for so long (Options.Accept)
//	audit-note             a text for the audit (Options.Accept)
//	number-of-connections  compared with Options.MaxConnections
//
// One that is accepted and has no good value denies.
func (m *Mapper) decide(a mapper.Answer) (jackfield.Decision, Outcome) {
	d := jackfield.Decision{By: "mapper." + m.options.Name}
	text := clean(a.Text, maxReason)
	switch {
	case a.Err != nil:
		d.Reason = clean(strings.TrimPrefix(a.Err.Error(), "mapper: "), maxReason)
		d.Failed = true
		return d, Failed
	case !a.Success:
		d.Reason = text
		if text == "" {
			d.Reason = "the program denied without a reason"
		} else if m.options.ShowReason {
			d.Message = clean(a.Text, maxMessage)
		}
		return d, Denied
	}
	terms, err := m.terms(a.Entries)
	if err != nil {
		d.Reason = err.Error()
		return d, Denied
	}
	terms.Note = joined(text, terms.Note)
	d.Allow, d.Reason, d.Terms = true, "the program allowed", terms
	return d, Allowed
}

func joined(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}

// terms are what the returned entries ask for.
func (m *Mapper) terms(entries mapper.Entries) (t jackfield.Terms, err error) {
	accepted := func(key string) (string, bool) {
		value, there := entries.Get(key)
		return value, there && slices.Contains(m.options.Accept, key)
	}
	for key, limit := range map[string]*time.Duration{"max-seconds": &t.MaxDuration, "idle-seconds": &t.IdleTimeout} {
		if value, ok := accepted(key); ok {
			if *limit, err = parseSeconds(value); err != nil {
				return t, fmt.Errorf("it returned %s=%s, which is no whole number of seconds above 0", key, clean(value, 20))
			}
		}
	}
	if note, ok := accepted("audit-note"); ok {
		t.Note = clean(note, maxReason)
	}
	return t, m.compareConnections(entries)
}

// maxSeconds is the longest that a time.Duration can be.
const maxSeconds = int64(1<<63-1) / int64(time.Second)

func parseSeconds(s string) (time.Duration, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || n > maxSeconds {
		return 0, fmt.Errorf("%q is out of range", s)
	}
	return time.Duration(n) * time.Second, nil
}

func (m *Mapper) compareConnections(entries mapper.Entries) error {
	if m.options.MaxConnections == 0 {
		return nil
	}
	value, ok := entries.Get("number-of-connections")
	if !ok {
		return fmt.Errorf("it returned no number-of-connections, which max_connections needs")
	}
	n, err := strconv.ParseUint(value, 10, 63)
	switch {
	case err != nil:
		return fmt.Errorf("it returned number-of-connections=%s, which is no number", clean(value, 20))
	case n >= uint64(m.options.MaxConnections):
		return fmt.Errorf("%d connections, and %d are allowed", n, m.options.MaxConnections)
	}
	return nil
}

// clean makes a program's words fit to be shown: valid UTF-8 without control characters, in at most limit bytes and an
// ellipsis.
func clean(s string, limit int) string {
	cut := len(s) > limit
	s = s[:min(len(s), limit)]
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	s = strings.TrimSpace(s)
	if cut {
		s += "…"
	}
	return s
}
