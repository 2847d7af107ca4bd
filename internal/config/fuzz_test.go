package config

import (
	"bytes"
	"os"
	"testing"
)

// FuzzLoad holds that no file makes Load panic, and that it returns a configuration or an error, never both.
func FuzzLoad(f *testing.F) {
	for _, dir := range []string{"testdata/bad", "testdata/good", "reference"} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			f.Fatal(err)
		}
		for _, entry := range entries {
			if entry.IsDir() {
				continue
			}
			source, err := os.ReadFile(dir + "/" + entry.Name())
			if err != nil {
				f.Fatal(err)
			}
			f.Add(source)
		}
	}
	f.Fuzz(func(t *testing.T, source []byte) {
		if bytes.Contains(source, []byte("include")) && bytes.Contains(source, []byte("/")) {
			t.Skip("it could include any file of this machine")
		}
		if shown := masked(source, "jackfield.hcl"); len(shown) != len(source) || bytes.Count(shown, []byte("\n")) != bytes.Count(source, []byte("\n")) {
			t.Errorf("places have moved in %q", shown)
		}
		loaded, problems := Load(write(t, string(source)))
		if (loaded == nil) != problems.HasErrors() {
			t.Errorf("configuration %v with the problems %v", loaded, problems.List())
		}
		var report bytes.Buffer
		if err := problems.WriteText(&report, false); err != nil {
			t.Error(err)
		}
	})
}
