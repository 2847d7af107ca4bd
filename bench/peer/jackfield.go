//go:build linux

package peer

import (
	"context"
	"fmt"
	"os"

	"jackfield/bench/process"
)

// Jackfield is the program that all this is about, with a "tcp" listener and a dialled service.
type Jackfield struct {
	Binary string // path; whoever the instances run as must be able to execute it
}

// Name is "jackfield".
func (Jackfield) Name() string { return "jackfield" }

// Installed looks for the binary.
func (j Jackfield) Installed() error {
	_, err := os.Stat(j.Binary)
	return err
}

// Version asks jackfield version.
func (j Jackfield) Version(ctx context.Context) (string, error) {
	return versionLine(ctx, "", j.Binary, "version")
}

// Command leaves everything at its default: what is measured is what an administrator gets.
func (j Jackfield) Command(p Place) (process.Spec, error) {
	file, err := p.write(configName, fmt.Sprintf(`data_dir = %q

listener "bench" {
  protocol = "tcp"
  listen   = %q
  service  = "sink"
}

service "sink" {
  address = %q
}
`, p.Dir, p.Listen, p.Service))
	return process.Spec{Path: j.Binary, Args: []string{"serve", "--config", file}}, err
}
