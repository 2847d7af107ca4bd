package jackfield

import (
	"fmt"
	"strings"
)

// MaxName is the length in bytes of the longest service name: two DNS labels and the dot between them.
const MaxName = 2*maxLabel + 1

const maxLabel = 63 // RFC 1035, section 2.3.4

// Help is reserved by RFC 1078: it asks for the list of services and never names one.
const Help Name = "help"

// A Name is the full name of a service in lower case: "console.fpga-1" (service, then station) or "console".
type Name string

// ParseName reads a service's full name: one or two DNS labels, compared without case. The reserved name is refused.
func ParseName(s string) (Name, error) {
	service, station, dotted := strings.Cut(s, ".")
	if err := CheckLabel(service); err != nil {
		return "", fmt.Errorf("service name %q: %w", clip(s), err)
	}
	if dotted {
		if err := CheckLabel(station); err != nil {
			return "", fmt.Errorf("station in service name %q: %w", clip(s), err)
		}
	}
	name := Name(strings.ToLower(s))
	if name == Help {
		return "", fmt.Errorf("%q is reserved by TCPMUX (RFC 1078)", string(Help))
	}
	return name, nil
}

// Station returns the station's part of the name, empty without one.
func (n Name) Station() string {
	_, station, _ := strings.Cut(string(n), ".")
	return station
}

// CheckLabel says what keeps s from being a DNS label (RFC 1123, section 2.1): 1 to 63 letters, digits and hyphens, the
// hyphen neither first nor last.
func CheckLabel(s string) error {
	switch {
	case s == "":
		return fmt.Errorf("a label is empty")
	case len(s) > maxLabel:
		return fmt.Errorf("a label has %d bytes, %d are allowed", len(s), maxLabel)
	case s[0] == '-' || s[len(s)-1] == '-':
		return fmt.Errorf("a label begins or ends with a hyphen")
	}
	for i := range len(s) {
		if !isLabelByte(s[i]) {
			return fmt.Errorf("%q is not a letter, digit or hyphen", s[i])
		}
	}
	return nil
}

func isLabelByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-'
}

// clip keeps a hostile name from filling an error message, and with it the log and the audit.
func clip(s string) string {
	const enough = maxLabel
	if len(s) <= enough {
		return s
	}
	return s[:enough] + "…"
}
