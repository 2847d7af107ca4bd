//go:build linux

package peer

import (
	"fmt"

	"jackfield/bench/process"
)

// A Tunnel is a peer of two programs. Clients connect to the first one, the server; the second one, the device, dials the
// server and reaches the service.
type Tunnel interface {
	Peer

	// Device returns how to start the second program in the foreground. It is called when the first one listens.
	Device(p Place) (process.Spec, error)
}

// JackfieldTunnel is Jackfield at both ends of a Mihini link, with a "tcp" listener for clients.
type JackfieldTunnel struct{ Jackfield }

// Name says what the link lacks beside those of the other tunnels.
func (JackfieldTunnel) Name() string { return "jackfield, not encrypted" }

// Command leaves everything at its default, the audit included, but for close_delay, which is what the documentation says
// about such a device.
func (j JackfieldTunnel) Command(p Place) (process.Spec, error) {
	file, err := p.write("jackfield.hcl", fmt.Sprintf(jackfieldTunnelConfig, p.Dir, p.Link, p.Listen, p.Service))
	return process.Spec{Path: j.Binary, Args: []string{"serve", "--config", file}}, err
}

const jackfieldTunnelConfig = `data_dir = %q

listener "link" {
  protocol = "mihini"
  listen   = %q
}

device "bench" {
  close_delay = "0s"
}

listener "clients" {
  protocol = "tcp"
  listen   = %q
  service  = "sink"
}

service "sink" {
  device  = "bench"
  address = %q
}
`

// Device allows the one service.
func (j JackfieldTunnel) Device(p Place) (process.Spec, error) {
	return process.Spec{Path: j.Binary, Args: []string{"mihini", "device", "--server", p.Link, "--allow", p.Service}}, nil
}
