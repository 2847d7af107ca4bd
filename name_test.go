package jackfield_test

import (
	"errors"
	"strings"
	"testing"

	"jackfield"
)

func TestParseName(t *testing.T) {
	longest := strings.Repeat("a", 63)
	for in, want := range map[string]jackfield.Name{
		"web":                   "web",
		"scp-to":                "scp-to",
		"Console.FPGA-1":        "console.fpga-1",
		"7":                     "7",
		"help.fpga-1":           "help.fpga-1", // only the whole name is reserved
		longest + "." + longest: jackfield.Name(longest + "." + longest),
	} {
		got, err := jackfield.ParseName(in)
		if err != nil || got != want {
			t.Errorf("ParseName(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", ".", "a.", ".a", "a.b.c", "-a", "a-", "a b", " a", "a\x00", "a\n", "ä", "a_b", "a/b", "*",
		"help", "HELP", longest + "a", "a." + longest + "a", strings.Repeat("x", 1<<20),
	} {
		if got, err := jackfield.ParseName(in); err == nil {
			t.Errorf("ParseName(%.20q) = %.20q, want an error", in, got)
		} else if len(err.Error()) > 1000 {
			t.Errorf("the error for a name of %d bytes has %d", len(in), len(err.Error()))
		}
	}
}

func TestStation(t *testing.T) {
	if got := jackfield.Name("console.fpga-1").Station(); got != "fpga-1" {
		t.Errorf("got %q", got)
	}
	if got := jackfield.Name("web").Station(); got != "" {
		t.Errorf("got %q", got)
	}
}

func TestAsError(t *testing.T) {
	cause := errors.New("connection refused")
	refusal := jackfield.Refuse(jackfield.Unavailable, "service does not answer", cause)
	if got := jackfield.AsError(errors.Join(refusal)); got != refusal {
		t.Errorf("a refusal became %#v", got)
	}
	got := jackfield.AsError(cause)
	if got.Kind != jackfield.Internal || !errors.Is(got, cause) || strings.Contains(got.Message, "refused") {
		t.Errorf("another error became %#v", got)
	}
}
