package interop

import (
	"os"
	"testing"

	"jackfield/internal/cli"
	"jackfield/test/live"
)

// TestMain makes "jackfield" a command, which is this binary.
func TestMain(m *testing.M) {
	live.Main(m, map[string]func(){
		"jackfield": func() { os.Exit(cli.Main()) },
	})
}
