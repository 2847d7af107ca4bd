package access

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestMatchPattern(t *testing.T) {
	for _, test := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "console.fpga-1", true},
		{"*", "", true},
		{"console.fpga-1", "console.fpga-1", true},
		{"console", "console.fpga-1", false},
		{"console.fpga-1", "console", false},
		{"*.*", "console", false},
		{"*.*", "console.fpga-1", true},
		{"con*", "console.fpga-1", false},
		{"con*.fpga-1", "console.fpga-1", true},
		{"*.fpga-*", "console.fpga-1", true},
		{"*o*le.f*1", "console.fpga-1", true},
		{"c*x", "console", false},
		{"a*a", "a", false},
	} {
		if got := matchPattern(test.pattern, test.name); got != test.want {
			t.Errorf("%q on %q: %v", test.pattern, test.name, got)
		}
	}
}

func TestMatchPatternIsARegularExpression(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[ab*]{1,6}(\.[ab*]{1,6})?`).Draw(t, "pattern")
		name := rapid.StringMatching(`[ab]{1,6}(\.[ab]{1,6})?`).Draw(t, "name")
		if err := CheckPattern(pattern); err != nil {
			t.Fatal(err)
		}
		model := "^" + strings.ReplaceAll(strings.ReplaceAll(pattern, ".", `\.`), "*", `[^.]*`) + "$"
		want := pattern == "*" || regexp.MustCompile(model).MatchString(name)
		if got := matchPattern(pattern, name); got != want {
			t.Fatalf("%q on %q: %v", pattern, name, got)
		}
	})
}

func TestCheckPattern(t *testing.T) {
	for _, good := range []string{"*", "a", "A-1", "*.b", "a.*", "*-*"} {
		if err := CheckPattern(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", ".", "a.", ".b", "a.b.c", "a?", "ä", "a b", strings.Repeat("a", 200)} {
		if CheckPattern(bad) == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}
