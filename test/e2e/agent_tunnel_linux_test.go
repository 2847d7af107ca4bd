package e2e

import (
	"strings"
	"testing"
)

// TestAgentTunnel: TCPRemoteConnect has an agent open a Mihini tunnel to Jackfield's own listener, by which a service of the agent's
// machine is reached as one of a device; the agent's allow-list has the last word.
func TestAgentTunnel(t *testing.T) {
	t.Parallel()
	config := fleetConfig + `
listener "field" {
  protocol = "mihini"
  listen   = "127.0.0.1:0"
}
device "gauge" {
  listeners = ["field"]
}
service "gauge" {
  listeners = ["mux"]
  device    = "gauge"
  address   = env("echo")
}
`
	echo := startEcho(t)
	f := newFleet(t, config, "gauge="+echo)
	f.agent(t, "edge", `
allow = ["`+echo+`"]
mihini {
  server = "`+f.Addresses["field"]+`"
}
`)
	writeConfig(t, f.dir, strings.Replace(config, `env("echo")`, `"`+echo+`"`, 1))
	f.cli(t, "", "reload")
	f.refuses(t, "gauge", "the device is not connected")
	if complaint := f.refused(t, "agent", "tunnel", "edge", "--local", "127.0.0.1:1"); !strings.Contains(complaint, "the allow-list does not have it") {
		t.Errorf("what the agent does not allow: %s", complaint)
	}
	if complaint := f.refused(t, "agent", "tunnel", "edge"); !strings.Contains(complaint, "the local service: neither the command nor the agent's configuration") {
		t.Errorf("a service that nobody names: %s", complaint)
	}
	f.refuses(t, "gauge", "the device is not connected")
	f.cli(t, "", "agent", "tunnel", "edge", "--local", echo) // the rest is in the agent's configuration
	f.field().awaitDevice(t, "gauge", 1)
	f.echoes(t, "gauge")
	f.cli(t, "", "agent", "tunnel", "edge", "--server", f.Addresses["field"], "--local", echo) // the same
	if n := f.field().device(t, "gauge").Opened; n != 1 {
		t.Errorf("%d streams were opened by the tunnel", n)
	}
}
