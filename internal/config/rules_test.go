package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLoadRules(t *testing.T) {
	for name, test := range map[string]struct {
		file  string
		rules int
		says  string
	}{
		"two rules":   {`rule "deny" { users = ["eve"] }` + "\n" + `rule "allow" { when = service == "web" }`, 2, ""},
		"no rules":    {"", 0, "would allow everything"},
		"other block": {`listener "mux" {}`, 0, "listener"},
		"bad rule":    {`rule "alow" {}`, 0, `Did you mean "allow"?`},
		"syntax":      {`rule "allow" {`, 0, "Error"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "rules.hcl")
			if err := os.WriteFile(path, []byte(test.file), 0o600); err != nil {
				t.Fatal(err)
			}
			rules, problems := LoadRules(path)
			var text strings.Builder
			if err := problems.WriteText(&text, false); err != nil {
				t.Fatal(err)
			}
			if len(rules) != test.rules || !strings.Contains(text.String(), test.says) || problems.HasErrors() == (test.says == "") {
				t.Errorf("%d rules:\n%s", len(rules), text.String())
			}
		})
	}
	if rules, problems := LoadRules(filepath.Join(t.TempDir(), "none.hcl")); rules != nil || !problems.HasErrors() {
		t.Error("a file that is not there has rules")
	}
}
