package live

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A Line is one object of JSON lines, such as the log and the audit.
type Line map[string]any

// A Test is what a line must be like.
type Test func(Line) bool

// Equal wants a field to have a value, as text. A list has it if one of its elements is it; an empty list is "".
func Equal(field, value string) Test {
	return test(field, func(s string) bool { return s == value })
}

// Match wants a field to match a pattern.
func Match(field string, pattern *regexp.Regexp) Test { return test(field, pattern.MatchString) }

func test(field string, good func(string) bool) Test {
	return func(l Line) bool {
		value, there := l[field]
		if list, ok := value.([]any); ok {
			return len(list) == 0 && good("") || slices.ContainsFunc(list, func(v any) bool { return good(text(v)) })
		}
		return there && good(text(value))
	}
}

// text writes numbers without an exponent, as they stand in the line.
func text(v any) string { return fmt.Sprint(v) }

// Select returns the whole lines that pass every test, in their order. What is no JSON is passed over.
func Select(lines string, tests ...Test) []Line {
	var selected []Line
	for raw := range strings.Lines(lines) {
		line, ok := parse(raw)
		if ok && !slices.ContainsFunc(tests, func(t Test) bool { return !t(line) }) {
			selected = append(selected, line)
		}
	}
	return selected
}

func parse(raw string) (line Line, ok bool) {
	if !strings.HasSuffix(raw, "\n") {
		return nil, false
	}
	decoder := json.NewDecoder(strings.NewReader(raw))
	decoder.UseNumber()
	return line, decoder.Decode(&line) == nil
}
