package importer

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"jackfield/internal/config"
)

// TestConfigurationLoads gives translations to the package that will read them.
func TestConfigurationLoads(t *testing.T) {
	translations, err := filepath.Glob("testdata/*/*.hcl")
	if err != nil || len(translations) < 5 {
		t.Fatalf("only %d translations: %v", len(translations), err)
	}
	for _, name := range translations {
		t.Run(name, func(t *testing.T) {
			src, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "jackfield.hcl")
			if err := os.WriteFile(path, src, 0o644); err != nil {
				t.Fatal(err)
			}
			if loaded, problems := config.Load(path); loaded == nil {
				var text bytes.Buffer
				problems.WriteText(&text, false)
				t.Errorf("%s", text.String())
			}
		})
	}
}
