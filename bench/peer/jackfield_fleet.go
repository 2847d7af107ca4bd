//go:build linux

package peer

import (
	"fmt"
	"path/filepath"

	"jackfield/bench/process"
)

// JackfieldFleet is Jackfield for many agents. What they offer is on a "tcpmux" listener, beside an echo of its own.
type JackfieldFleet struct{ Jackfield }

// Command leaves everything at its default, the audit included.
func (j JackfieldFleet) Command(p Place) (process.Spec, error) {
	file, err := p.write(configName, fmt.Sprintf(jackfieldFleetConfig, p.Dir, p.Link, p.Listen, Echo))
	return process.Spec{Path: j.Binary, Args: []string{"serve", "--config", file}}, err
}

const jackfieldFleetConfig = `data_dir = %q

listener "agents" {
  protocol = "https"
  listen   = %q
}

listener "mux" {
  protocol = "tcpmux"
  listen   = %q
}

service %q {
  listeners = ["mux"]
  builtin   = "echo"
}

agent "*" {
  offers    = ["*"]
  listeners = ["mux"]
  rule "allow" {}
}
`

// Way leads to the service of that name, which may be an agent's.
func (JackfieldFleet) Way(p Place, kind Kind) (Way, bool) {
	return Way{Address: p.Listen, Service: string(kind)}, true
}

// Link is where the instance listens for its devices, host:port.
func (i *Instance) Link() string { return i.place.Link }

// AdminSocket is where an instance of Jackfield takes an administrator's calls.
func (i *Instance) AdminSocket() string { return filepath.Join(i.place.Dir, "admin.sock") }
