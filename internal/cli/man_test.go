package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMan(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	dir := t.TempDir()
	if err := runMan(dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"jackfield.1":           "\n\\fBjackfield.hcl\\fR(5)\n",
		"jackfield-connect.1":   `.TH "JACKFIELD\-CONNECT" "1" "2023-11-14" "Jackfield ` + version + `"`,
		"jackfield-token-add.1": "\\fB\\-\\-one\\-time\\fR",
	} {
		if page, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !strings.Contains(string(page), want) {
			t.Errorf("%s (%v) has no %q:\n%s", name, err, want, page)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "jackfield-man.1")); err == nil {
		t.Error("the command for those who build packages has a page")
	}
}

func TestManDate(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
	if err := runMan(t.TempDir()); err == nil || !strings.Contains(err.Error(), `"yesterday"`) {
		t.Errorf("%v", err)
	}
}

func runMan(dir string) error {
	root := newRoot()
	root.SetArgs([]string{"man", dir})
	return root.Execute()
}
