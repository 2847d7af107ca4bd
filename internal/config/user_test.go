package config

import (
	"fmt"
	"strings"
	"testing"

	"jackfield/internal/identity"
)

func TestListsHaveAnEnd(t *testing.T) {
	for source, says := range map[string]string{
		`user "a" { groups = LIST }`:    "100 groups",
		`listener "a" { names = LIST }`: "64 names",
	} {
		var names []string
		for i := range identity.MaxGroups + 1 {
			names = append(names, fmt.Sprint("n", i))
		}
		list := "[" + strings.Join(quoteAll(names), ", ") + "]"
		_, problems := Load(write(t, strings.ReplaceAll(source, "LIST", list)))
		var text strings.Builder
		if err := problems.WriteText(&text, false); err != nil || !strings.Contains(text.String(), says) {
			t.Errorf("%s: %v, %s", source, err, text.String())
		}
	}
}
