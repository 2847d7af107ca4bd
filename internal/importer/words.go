package importer

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"jackfield"
)

// lines returns the lines of a file without their ends.
func lines(data []byte) []string {
	all := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	for i, line := range all {
		all[i] = strings.TrimSuffix(line, "\r")
	}
	return all
}

var errNoText = errors.New("bytes that are no printable text")

// splitQuoted splits a line of inetd.conf. As in BSD, a quote begins a word and ends it. Elsewhere in a word, and behind a
// backslash, the programs differ.
func splitQuoted(line string) ([]string, error) {
	if !isText(line) {
		return nil, errNoText
	}
	var words []string
	for {
		line = strings.TrimLeft(line, blanks)
		if line == "" {
			return words, nil
		}
		word, rest, err := cutWord(line)
		if err != nil {
			return nil, err
		}
		words, line = append(words, word), rest
	}
}

const blanks = " \t"

func cutWord(line string) (word, rest string, err error) {
	if quote := line[:1]; quote == `"` || quote == "'" {
		word, rest, closed := strings.Cut(line[1:], quote)
		switch {
		case !closed:
			return "", "", errors.New("a quote is not closed")
		case rest != "" && !strings.Contains(blanks, rest[:1]), strings.Contains(word, `\`):
			return "", "", errAmbiguous
		}
		return word, rest, nil
	}
	end := strings.IndexAny(line, blanks)
	if end < 0 {
		end = len(line)
	}
	if strings.ContainsAny(line[:end], `"'\`) {
		return "", "", errAmbiguous
	}
	return line[:end], line[end:], nil
}

var errAmbiguous = errors.New("quotes inside of a word or a backslash, which not every inetd reads alike")

// portNumber reads a port or looks its name up.
func (o Options) portNumber(s string) (int, error) {
	if isNumber(s) {
		return parsePort(s)
	}
	port, err := o.LookupPort("tcp", s)
	if err != nil && s == "tcpmux" {
		return 1, nil // RFC 1078
	}
	if err != nil || port < 1 || port > 65535 {
		return 0, fmt.Errorf("no TCP port of the name %s is known here", excerpt(s))
	}
	return port, nil
}

func parsePort(s string) (int, error) {
	port, err := strconv.ParseUint(s, 10, 16)
	if err != nil || port == 0 {
		return 0, errors.New("a port is a number from 1 to 65535")
	}
	return int(port), nil
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// parseCount reads a number that is not negative. Jackfield's counts end at most; what is more is as good.
func parseCount(s string, most int) (int, error) {
	if !isNumber(s) {
		return 0, errors.New("a number is required")
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return most, nil
	}
	return min(n, most), nil
}

// What internal/config takes at most.
const (
	maxSessions = 10_000_000
	maxRate     = 1_000_000
)

// isHostName says whether s is a host name and no IPv4 address, well-formed or not (RFC 1123, section 2.1).
func isHostName(s string) bool {
	const longest = 253 // RFC 1035, section 2.3.4, without the root's dot
	labels := strings.Split(s, ".")
	for _, label := range labels {
		if jackfield.CheckLabel(label) != nil {
			return false
		}
	}
	return len(s) <= longest && !isNumber(labels[len(labels)-1])
}

// zeroth returns what a program is called when that is neither its path nor the name of its file.
func zeroth(file, arg0 string) string {
	if arg0 == file || arg0 == path.Base(file) {
		return ""
	}
	return arg0
}

// builtins are the services that Jackfield has itself.
func isBuiltin(name string) bool {
	switch name {
	case "echo", "discard", "time", "daytime", "chargen", "qotd":
		return true
	}
	return false
}
