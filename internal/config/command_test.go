package config

import (
	"fmt"
	"strings"
	"testing"
)

// One byte more than a program is given is a mistake, wherever it stands.
func TestWhatProgramsAreGivenIsLimited(t *testing.T) {
	for name, s := range map[string]struct {
		source string // with a place for a filling
		room   int    // for the filling
	}{
		"one word":      {`command = ["%s"]`, maxWords},
		"argument":      {`command = ["cat", "-", "%s"]`, maxWords - 4},
		"arg0":          {"command = [\"cat\"]\narg0 = \"%s\"", maxWords - 3},
		"variable":      {"command = [\"cat\"]\nenv = { A = \"%s\" }", maxWords - 1},
		"two variables": {"command = [\"cat\"]\nenv = { A = \"b\", C = \"%s\" }", maxWords - 3},
		"computed":      {"command = [\"cat\"]\nenv = { for a in [\"A\"] : a => \"%s\" }", maxWords - 1},
	} {
		t.Run(name, func(t *testing.T) {
			for more, good := range []bool{true, false} {
				source := fmt.Sprintf("service \"s\" {\n"+s.source+"\n}", strings.Repeat("x", s.room+more))
				if _, problems := Load(write(t, source)); problems.HasErrors() == good {
					t.Errorf("with %d bytes more: %.300v", more, problems.Err())
				}
			}
		})
	}
}
