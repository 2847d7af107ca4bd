//go:build linux

package peer

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"jackfield/bench/process"
)

// authz is the program that decides.
//
//go:embed authz.py
var authz string

const authzName = "authz.py"

// python is Debian's: what else may stand in PATH under the name (pyenv, for one) starts several times slower, which would
// make programs that are started ahead look better.
const python = "/usr/bin/python3"

// JackfieldMapper is Jackfield with a "tcpmux" listener: an echo and a dialled service that no program decides about, and an
// echo for each way of having one decide.
type JackfieldMapper struct{ Jackfield }

// The kinds of sessions that a program decides about.
const (
	Cold  Kind = "cold"  // a process for each session, started when the client asks
	Warm  Kind = "warm"  // the same, but Ahead processes stand ready
	Batch Kind = "batch" // up to 50 sessions for a process, started when the first client asks
	Hung  Kind = "hung"  // the program never answers, so the client is refused after half a second
)

// Ahead is how many processes stand ready when nobody asks.
const Ahead = 2

// mapped says how each of them is configured; everything else is at its default.
var mapped = []struct {
	kind       Kind
	argument   string
	attributes string
}{
	{Cold, "allow", `timeout = "10s"`},
	{Warm, "allow", fmt.Sprintf("timeout = \"10s\"\n  warm = %d", Ahead)},
	{Batch, "allow", "timeout = \"10s\"\n  batch = 50"},
	{Hung, "hang", `timeout = "500ms"`},
}

// Installed looks for Python only: Jackfield is built when all peers are there.
func (JackfieldMapper) Installed() error {
	if _, err := os.Stat(python); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is %w", python, ErrNotInstalled)
	} else if err != nil {
		return err
	}
	return nil
}

// Version is Jackfield's and Python's.
func (j JackfieldMapper) Version(ctx context.Context) (string, error) {
	ours, err := j.Jackfield.Version(ctx)
	if err != nil {
		return "", err
	}
	theirs, err := versionLine(ctx, "Python", python, "--version")
	return ours + "; " + theirs, err
}

// Command writes the program beside the configuration.
func (j JackfieldMapper) Command(p Place) (process.Spec, error) {
	program, err := p.write(authzName, authz)
	if err != nil {
		return process.Spec{}, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, jackfieldMapperConfig, p.Dir, p.Listen, Echo, Forward, p.Service)
	for _, m := range mapped {
		fmt.Fprintf(&b, mappedConfig, m.kind, python, program, m.argument, p.Dir, m.attributes)
	}
	file, err := p.write("jackfield.hcl", b.String())
	return process.Spec{Path: j.Binary, Args: []string{"serve", "--config", file}}, err
}

const jackfieldMapperConfig = `data_dir = %q

listener "mux" {
  protocol = "tcpmux"
  listen   = %q
}

service %q {
  listeners = ["mux"]
  builtin   = "echo"
}

service %q {
  listeners = ["mux"]
  address   = %q
}
`

const mappedConfig = `
service %[1]q {
  listeners = ["mux"]
  builtin   = "echo"
  mapper    = %[1]q
}

mapper %[1]q {
  command = [%[2]q, %[3]q, %[4]q]
  env     = { BENCH_PLACE = %[5]q }
  %[6]s
}
`

// Way leads to the service that has the kind's name.
func (JackfieldMapper) Way(p Place, kind Kind) (Way, bool) {
	return Way{Address: p.Listen, Service: string(kind)}, true
}

// Deciders lists the living processes of the instance's programs, and whatever those started: they have the program among
// their arguments, or its environment. It is still true when the instance has ended.
func (i *Instance) Deciders() ([]int, error) {
	return process.Marked(filepath.Join(i.place.Dir, authzName), "BENCH_PLACE="+i.place.Dir)
}

// RunDecider runs the program that allows once, as Jackfield does for a session, but without it.
func (i *Instance) RunDecider(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, python, filepath.Join(i.place.Dir, authzName), "allow")
	cmd.Stdin = strings.NewReader("version:1\nrequest:1\nend-of-request:1\n")
	return cmd.Run()
}
