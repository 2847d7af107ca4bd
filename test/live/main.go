package live

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// Main is for TestMain. It makes each command one that the shell finds, and which is this test binary; and it runs the
// tests in a network of their own where that is allowed, so that every port is free and nobody else uses them up, and with
// their files in memory where there is room.
func Main(m *testing.M, commands map[string]func()) {
	if commands[filepath.Base(os.Args[0])] == nil {
		os.Setenv("GORACE", RaceOptions)
		enterNetwork()
		enterMemory()
	}
	testscript.Main(m, commands)
}

// RaceOptions is for $GORACE of the programs that tests start: a race detector would sleep a second whenever one ends.
const RaceOptions = "atexit_sleep_ms=0"

// networkMark is set in the environment once the network is private.
const networkMark = "JACKFIELD_PRIVATE_NETWORK"

func marked() bool { return os.Getenv(networkMark) != "" }
