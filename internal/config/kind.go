package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A kind is what values an attribute takes.
type kind interface {
	// describe says it in a few words of Markdown, for the reference.
	describe() string
}

// text is a string that check, where there is one, finds right.
type text struct {
	what  string
	check func(string) error
}

func (k text) describe() string { return k.what }

// word is one of a few strings.
type word []string

func (k word) describe() string { return "`" + strings.Join(quoteAll(k), "`, `") + "`" }

func quoteAll(words []string) []string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = strconv.Quote(w)
	}
	return quoted
}

// list is a list of strings that is not empty.
type list struct{ of string }

func (k list) describe() string { return "list of " + k.of }

// textOrList is one string or a list of them.
type textOrList struct{ of string }

func (k textOrList) describe() string { return k.of + ", or a list of these" }

// count is a whole number.
type count struct{ min, max int }

func (k count) describe() string { return fmt.Sprintf("number, %d to %d", k.min, k.max) }

// boolean is true or false.
type boolean struct{}

func (boolean) describe() string { return "`true` or `false`" }

// size is a number of bytes.
type size struct{}

func (size) describe() string { return "size" }

// limit is a count or a size, or "unlimited".
type limit struct{ of kind }

func (k limit) describe() string { return k.of.describe() + ", or `\"unlimited\"`" }

// variables is a map of strings by the name of an environment variable. It is not empty.
type variables struct{}

func (variables) describe() string { return "map of strings" }

// duration is a length of time.
type duration struct{ min, max time.Duration }

func (k duration) describe() string { return "duration, " + k.bounds() }

func (k duration) bounds() string {
	if k.max == math.MaxInt64 {
		return "at least " + brief(k.min)
	}
	return brief(k.min) + " to " + brief(k.max)
}

// brief writes a duration without the zeros that time.Duration.String has: "5m", not "5m0s".
func brief(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// frequency is an access.Rate.
type frequency struct{}

func (frequency) describe() string { return "rate" }

// expression is evaluated for each request.
type expression struct{}

func (expression) describe() string { return "condition" }

// parse reads a duration and holds it against the bounds. The error does not quote s.
func (k duration) parse(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf(`a duration is a number with a unit (ms, s, m, h), such as "5s" or "1h30m"`)
	}
	if d < k.min || d > k.max {
		return 0, fmt.Errorf("the duration must be %s", k.bounds())
	}
	return d, nil
}

// parseSize reads a number of bytes with or without a unit. The error does not quote s.
func parseSize(s string) (int64, error) {
	digits := strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	n, err := strconv.ParseUint(digits, 10, 63)
	factor, known := sizeUnits[strings.ToLower(s[len(digits):])]
	switch {
	case err != nil || !known:
		return 0, fmt.Errorf(`a size is a whole number of bytes, or one with a unit: k, M, G, T (also kB, MB, …) or KiB, MiB, GiB, TiB`)
	case n > math.MaxInt64/factor:
		return 0, fmt.Errorf("the size is too large")
	}
	return int64(n * factor), nil
}

var sizeUnits = map[string]uint64{
	"": 1, "b": 1,
	"k": 1e3, "kb": 1e3, "m": 1e6, "mb": 1e6, "g": 1e9, "gb": 1e9, "t": 1e12, "tb": 1e12,
	"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
}
