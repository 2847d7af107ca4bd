package importer

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2/hclparse"
)

var update = flag.Bool("update", false, "write the golden files")

// testPorts are those that the tests know, whatever this machine does.
var testPorts = map[string]int{
	"tcpmux": 1, "echo": 7, "discard": 9, "daytime": 13, "chargen": 19, "ftp": 21, "telnet": 23, "smtp": 25, "time": 37,
	"gopher": 70, "finger": 79, "http": 80, "pop3": 110, "pop_3": 110, "ident": 113, "auth": 113, "nntp": 119, "imap": 143,
	"uucp": 540,
}

func lookupPort(_, service string) (int, error) {
	if port, found := testPorts[service]; found {
		return port, nil
	}
	return 0, errors.New("unknown port")
}

var options = Options{LookupPort: lookupPort}

type importFunc func(...File) (*Result, error)

func translate(t *testing.T, run importFunc, name, source string) (string, *Result) {
	t.Helper()
	result, err := run(File{Name: name, Data: []byte(source)})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := result.WriteHCL(&out); err != nil {
		t.Fatal(err)
	}
	checkHCL(t, out.Bytes())
	return out.String(), result
}

func checkHCL(t *testing.T, src []byte) {
	t.Helper()
	if _, diagnostics := hclparse.NewParser().ParseHCL(src, "out.hcl"); diagnostics.HasErrors() {
		t.Fatalf("no HCL: %v\n%s", diagnostics, src)
	}
}

// TestGolden translates each file of testdata. With -update it writes what should come out.
func TestGolden(t *testing.T) {
	for kind, run := range map[string]importFunc{"inetd": options.Inetd, "xinetd": options.Xinetd} {
		sources, err := filepath.Glob(filepath.Join("testdata", kind, "*.conf"))
		if err != nil || len(sources) == 0 {
			t.Fatalf("no sources of %s: %v", kind, err)
		}
		for _, path := range sources {
			t.Run(kind+"/"+filepath.Base(path), func(t *testing.T) {
				source, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				got, result := translate(t, run, filepath.Base(path), string(source))
				if n := strings.Count(got, "\n# not translated: ") + strings.Count(got, "\n  # not translated: "); n > result.Notes {
					t.Errorf("%d notes are counted, the file has %d", result.Notes, n)
				}
				compare(t, strings.TrimSuffix(path, ".conf")+".hcl", got)
			})
		}
	}
}

func compare(t *testing.T, golden, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s has something else; the translation is now:\n%s", golden, got)
	}
}
