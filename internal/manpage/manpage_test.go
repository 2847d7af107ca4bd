package manpage_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"jackfield/internal/manpage"
	"jackfield/test/live"
)

var manual = manpage.Manual{
	Version:    "Frobnicate 1.2",
	Date:       time.Date(2026, time.November, 22, 23, 0, 0, 0, time.FixedZone("", -3600)),
	ExitStatus: "0 done, 1 failed",
	SeeAlso:    []string{"frobnicate.conf(5)", "roff(7)"},
}

// tree is a command line with one of everything.
func tree() *cobra.Command {
	root := &cobra.Command{Use: "frobnicate", Short: "Change things", Version: "1.2"}
	add := &cobra.Command{
		Use:   "add NAME",
		Short: "Add a thing",
		Long: `Adds a thing,
which is new.

  thing "a" {
    size = 1
  }

	tab

The end.`,
		Example: "  frobnicate add a\n  frobnicate add b",
		Run:     func(*cobra.Command, []string) {},
	}
	add.Flags().StringP("colour", "c", "red", "the `COLOUR` of it")
	add.Flags().Bool("quiet", false, "say nothing")
	add.Flags().Bool("secret", false, "is not shown")
	add.Flags().MarkHidden("secret")
	root.PersistentFlags().Int("depth", 3, "how far")
	hidden := &cobra.Command{Use: "hidden", Short: "Be unseen", Hidden: true, Run: func(*cobra.Command, []string) {}}
	things := &cobra.Command{Use: "things", Short: "Handle things"}
	things.AddCommand(add)
	root.AddCommand(things, hidden)
	root.InitDefaultHelpCmd()
	return root
}

func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "build", "man")
	if err := manual.Write(dir, tree()); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	if want := []string{"frobnicate-things-add.1", "frobnicate-things.1", "frobnicate.1"}; !slices.Equal(names, want) {
		t.Errorf("%v, not %v", names, want)
	}
}

func TestWriteFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if manual.Write(file, tree()) == nil {
		t.Error("pages were written into a file")
	}
}

const want = `.TH "FROBNICATE\-THINGS\-ADD" "1" "2026-11-23" "Frobnicate 1.2" "User Commands"
.SH "NAME"
frobnicate\-things\-add \- Add a thing
.SH "SYNOPSIS"
\fBfrobnicate things add\fR NAME [flags]
.SH "DESCRIPTION"
Adds a thing,
which is new.
.PP
.RS "4"
.nf
thing \(dqa\(dq {
  size = 1
}
.PP
tab
.fi
.RE
.PP
The end.
.SH "OPTIONS"
.TP
\fB\-c\fR, \fB\-\-colour\fR \fICOLOUR\fR
the COLOUR of it (default red)
.TP
\fB\-h\fR, \fB\-\-help\fR
help for add
.TP
\fB\-\-quiet\fR
say nothing
.TP
\fB\-\-depth\fR \fIint\fR
how far (default 3)
.SH "EXAMPLES"
.RS "4"
.nf
frobnicate add a
frobnicate add b
.fi
.RE
.SH "EXIT STATUS"
0 done, 1 failed
.SH "SEE ALSO"
\fBfrobnicate\-things\fR(1)
`

func TestPage(t *testing.T) {
	add, _, err := tree().Find([]string{"things", "add"})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(manual.Page(add)); got != want {
		t.Errorf("%s\n, not\n%s", got, want)
	}
}

func TestPageOfRoot(t *testing.T) {
	got := string(manual.Page(tree()))
	for _, part := range []string{
		"\n\\fBfrobnicate\\fR COMMAND",
		".SH \"DESCRIPTION\"\nChange things.\n",
		".SH \"COMMANDS\"\n.TP\n\\fBfrobnicate\\-things\\fR(1)\nHandle things\n.SH",
		"\\fB\\-v\\fR, \\fB\\-\\-version\\fR",
		".SH \"SEE ALSO\"\n\\fBfrobnicate.conf\\fR(5),\n\\fBroff\\fR(7)\n",
	} {
		if !strings.Contains(got, part) {
			t.Errorf("%q is not in\n%s", part, got)
		}
	}
}

// texts are shown as they are, although roff would make something else of them.
var texts = map[string]string{
	"a macro":           ".so /etc/passwd",
	"another":           "'so /etc/passwd",
	"escapes":           `\fBC:\new\e \(bu \*[x] \n[y]`,
	"quotes":            "'a' \"b\" `c` ^d ~e -- --f",
	"beyond ASCII":      "größer … ☃",
	"not filled":        "  .so x\n  'so y\n  \\z",
	"a word very long":  strings.Repeat("x", 500),
	"an empty argument": `""`,
}

// TestShown has mandoc show pages made of such texts.
func TestShown(t *testing.T) {
	if _, err := exec.LookPath("mandoc"); err != nil {
		live.Missing(t, "mandoc", "run make peers")
	}
	for name, text := range texts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := &cobra.Command{Use: "frobnicate", Short: strings.TrimSpace(strings.ReplaceAll(text, "\n", " ")), Long: text}
			mandoc := exec.Command("mandoc", "-T", "utf8", "-O", "width=900")
			mandoc.Stdin = strings.NewReader(string(manual.Page(cmd)))
			out, err := mandoc.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for line := range strings.Lines(text) {
				if line = strings.TrimSpace(line); !strings.Contains(string(out), line) {
					t.Errorf("%q is not in\n%s", line, out)
				}
			}
		})
	}
}

// FuzzPage looks at the roff itself: nothing in a text makes a macro or an escape that the package has not put there.
func FuzzPage(f *testing.F) {
	for _, text := range texts {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		cmd := &cobra.Command{Use: "frobnicate", Short: text, Long: text, Example: text}
		for line := range strings.Lines(string(manual.Page(cmd))) {
			macro, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
			known := slices.Contains([]string{".TH", ".SH", ".TP", ".PP", ".RS", ".RE", ".nf", ".fi"}, macro)
			if strings.HasPrefix(line, ".") && !known || strings.HasPrefix(line, "'") {
				t.Errorf("a line of its own: %q", line)
			}
			if strings.ContainsFunc(line, func(r rune) bool { return r > 0x7e || r < ' ' && r != '\n' }) {
				t.Errorf("more than ASCII: %q", line)
			}
		}
	})
}
