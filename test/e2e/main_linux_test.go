package e2e

import (
	"fmt"
	"maps"
	"os"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"jackfield/internal/cli"
	"jackfield/test/live"
)

// TestMain makes "jackfield" a command, which is this binary.
func TestMain(m *testing.M) {
	live.Main(m, map[string]func(){
		"jackfield": func() { os.Exit(cli.Main()) },
	})
}

// TestScripts runs testdata/*.txtar. The scripts have these commands beside those of testscript:
//
//	serve FILE            runs "jackfield serve" until the script ends, which fails if the server panicked or raced.
//	                      Its working directory is the script's. For a listener NAME, $NAME is its address and $NAME_port
//	                      its port; $admin is the admin port.
//	[!] audit TEST...     waits until a line of data/audit.jsonl passes every test; with !, no line does now
//	[!] log TEST...       the same for the server's log. A test is FIELD=TEXT or FIELD~REGEXP; of a list, one element
//	                      must pass; an empty list is ''
//	hangup                sends SIGHUP to the server
//	backend KIND [NAME]   serves the given kind of service (see backends) and puts its address into $NAME, or $KIND; the
//	                      configuration reads it with env("NAME")
//	dial NAME ADDRESS     connects to an address
//	send NAME TEXT        writes a text with Go's escapes to the connection
//	receive NAME TEXT     reads exactly this
//	end NAME              ends our side of the connection
//	ended NAME FIN|RST    waits for the other side's end, before which nothing may come
//	remember NAME         puts what the last program printed, without the line end, into $NAME
//	status N PROGRAM...   runs a program that must exit with status N
//
// $times is how often what must never fail is repeated: 20, or 100 where $JACKFIELD_SOAK is set.
//
// The condition [root] holds for tests that are run as root.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("GORACE", live.RaceOptions)
			env.Setenv("times", strconv.Itoa(live.Times(20, 100)))
			env.Values[stateKey{}] = &state{clients: map[string]*client{}}
			return nil
		},
		Condition: func(name string) (bool, error) {
			if name != "root" {
				return false, fmt.Errorf("there is no condition %q", name)
			}
			return os.Getuid() == 0, nil
		},
		Cmds: commands(),
	})
}

type command = func(ts *testscript.TestScript, neg bool, args []string)

func commands() map[string]command {
	all := map[string]command{}
	maps.Copy(all, serverCommands)
	maps.Copy(all, clientCommands)
	return all
}

// state is what the commands of one script share.
type state struct {
	server      *server
	environment []string // of the server
	clients     map[string]*client
}

type stateKey struct{}

func stateOf(ts *testscript.TestScript) *state { return ts.Value(stateKey{}).(*state) }

// usage ends the script unless there are from min to max arguments.
func usage(ts *testscript.TestScript, neg bool, args []string, min, max int, text string) {
	if neg || len(args) < min || len(args) > max {
		ts.Fatalf("usage: %s", text)
	}
}
