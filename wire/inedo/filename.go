package inedo

import (
	"fmt"
	"strings"
)

// maxFileName is the length in bytes of the longest file name, as on most systems.
const maxFileName = 255

// CheckFileName says what keeps name from naming a file in a directory, and nothing else, on every system: separators,
// "..", drives and streams, control characters, wildcards, names of Windows' devices, and ends that Windows drops.
func CheckFileName(name string) error {
	stem, _, _ := strings.Cut(name, ".")
	switch {
	case name == "" || len(name) > maxFileName:
		return fmt.Errorf("%w: it has %d bytes", ErrFileName, len(name))
	case strings.ContainsAny(name, `/\:*?"<>|`) || strings.ContainsFunc(name, isControl):
		return fmt.Errorf("%w: %q", ErrFileName, name)
	case strings.TrimRight(name, ". ") != name: // "." and "..", too
		return fmt.Errorf("%w: %q", ErrFileName, name)
	case isDevice(strings.TrimRight(stem, " ")):
		return fmt.Errorf("%w: %q is a device", ErrFileName, name)
	}
	return nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// isDevice reports whether Windows takes a name for a device, whatever its extension.
func isDevice(stem string) bool {
	stem = strings.ToUpper(stem)
	switch stem {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$":
		return true
	}
	port, isPort := strings.CutPrefix(stem, "COM")
	if !isPort {
		port, isPort = strings.CutPrefix(stem, "LPT")
	}
	return isPort && len([]rune(port)) == 1 && strings.Contains("0123456789¹²³", port)
}
