package config

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what is reported now into the golden files")

// A test here is a file: testdata/bad/NAME.hcl must fail with the report in NAME.txt, and testdata/good/NAME.hcl must load,
// with the warnings in NAME.txt if there is such a file.

func TestBadConfigurations(t *testing.T) {
	for _, path := range configurations(t, "testdata/bad") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			loaded, problems := Load(path)
			if loaded != nil || !problems.HasErrors() || problems.Err() == nil {
				t.Errorf("no error, and the configuration %v", loaded)
			}
			compareReport(t, path, problems)
		})
	}
}

func TestGoodConfigurations(t *testing.T) {
	for _, path := range configurations(t, "testdata/good") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			loaded, problems := Load(path)
			if loaded == nil || problems.Err() != nil {
				t.Errorf("got the error %v", problems.Err())
			}
			compareReport(t, path, problems)
		})
	}
}

func configurations(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(dir + "/*.hcl")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files in %s: %v", dir, err)
	}
	return paths
}

// compareReport compares with the file beside path; without such a file nothing must be reported.
func compareReport(t *testing.T, path string, problems *Problems) {
	t.Helper()
	var report bytes.Buffer
	if err := problems.WriteText(&report, false); err != nil {
		t.Fatal(err)
	}
	golden := strings.TrimSuffix(path, ".hcl") + ".txt"
	if *update && report.Len() > 0 {
		if err := os.WriteFile(golden, report.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if !bytes.Equal(report.Bytes(), want) {
		t.Errorf("the report is not the one in %s (write it with -update):\n%s", golden, report.String())
	}
}

func TestTenMistakesAreAllReported(t *testing.T) {
	const path = "testdata/bad/ten.hcl"
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var want, got []int
	for i, line := range strings.Split(string(src), "\n") {
		if strings.HasSuffix(line, "# mistake") {
			want = append(want, i+1)
		}
	}
	_, problems := Load(path)
	for _, p := range problems.List() {
		if p.Severity == "error" && p.File == path {
			got = append(got, p.Line)
		}
	}
	if len(want) < 10 || !slices.Equal(got, want) {
		t.Errorf("errors on lines %v, mistakes on lines %v", got, want)
	}
}
