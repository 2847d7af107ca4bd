package interop

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"jackfield/internal/cli"
)

// TestMain makes "jackfield" a command, which is this binary.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"jackfield": func() { os.Exit(cli.Main()) },
	})
}
