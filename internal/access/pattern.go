package access

import (
	"fmt"
	"strings"

	"jackfield"
)

// CheckPattern says what keeps s from being a pattern of service names: "*", which matches every name, or one or two labels
// in which each "*" stands for any run of characters of that label, such as "console.*" or "*.fpga-*". Case is ignored.
func CheckPattern(s string) error {
	if s == "*" {
		return nil
	}
	labels := strings.Split(s, ".")
	if len(s) > jackfield.MaxName || len(labels) > 2 {
		return fmt.Errorf("a pattern has one label, or two with a dot between them, of at most %d bytes in all", jackfield.MaxName)
	}
	for _, label := range labels {
		if label == "" {
			return fmt.Errorf("a label of the pattern is empty")
		}
		for i := range len(label) {
			if c := label[i]; c != '*' && jackfield.CheckLabel(string(rune(c))) != nil && c != '-' {
				return fmt.Errorf("a pattern holds letters, digits, hyphens, dots and %q", "*")
			}
		}
	}
	return nil
}

// Matches says whether a pattern, which CheckPattern accepts, matches the name of a service.
func Matches(pattern string, name jackfield.Name) bool {
	return matchPattern(strings.ToLower(pattern), string(name))
}

// matchPattern wants both in lower case.
func matchPattern(pattern, name string) bool {
	if pattern == "*" {
		return true
	}
	patternLabel, patternStation, patternDotted := strings.Cut(pattern, ".")
	label, station, dotted := strings.Cut(name, ".")
	return patternDotted == dotted && matchLabel(patternLabel, label) && matchLabel(patternStation, station)
}

// matchLabel goes back to the last star only, which is enough when a star matches anything: time is at most
// len(pattern) × len(label).
func matchLabel(pattern, label string) bool {
	star, resume := -1, 0
	p, l := 0, 0
	for l < len(label) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, resume = p, l
			p++
		case p < len(pattern) && pattern[p] == label[l]:
			p++
			l++
		case star >= 0:
			resume++
			p, l = star+1, resume
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
