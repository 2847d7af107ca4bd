//go:build linux

package peer

import (
	"fmt"

	"jackfield/bench/process"
)

// JackfieldMux is Jackfield with a "tcpmux" listener and a service of each kind.
type JackfieldMux struct{ Jackfield }

// Command leaves everything at its default, the audit included.
func (j JackfieldMux) Command(p Place) (process.Spec, error) {
	file, err := p.write("jackfield.hcl", fmt.Sprintf(jackfieldMuxConfig, p.Dir, p.Listen, Program, Forward, p.Service, Echo))
	return process.Spec{Path: j.Binary, Args: []string{"serve", "--config", file}}, err
}

const jackfieldMuxConfig = `data_dir = %q

listener "mux" {
  protocol = "tcpmux"
  listen   = %q
}

service %q {
  listeners = ["mux"]
  command = ["/bin/cat"]
}

service %q {
  listeners = ["mux"]
  address = %q
}

service %q {
  listeners = ["mux"]
  builtin = "echo"
}
`

// Way leads to the service that has the kind's name.
func (JackfieldMux) Way(p Place, kind Kind) (Way, bool) {
	return Way{Address: p.Listen, Service: string(kind)}, true
}
