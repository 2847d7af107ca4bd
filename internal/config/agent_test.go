package config

import (
	"fmt"
	"slices"
	"testing"
)

const agentListeners = `
listener "web" {
  protocol = "https"
  listen   = "127.0.0.1:0"
}
listener "closed" {
  protocol = "https"
  listen   = "127.0.0.1:0"
  agents   = false
}
listener "local" {
  protocol = "http"
  listen   = "127.0.0.1:0"
}
`

func TestAgentByName(t *testing.T) {
	c := mustLoad(t, write(t, agentListeners+`
agent "lab-*" {}
agent "Lab-Pi" {}
agent "*-7" {}
agent "lab-x*" {}
`))
	for name, want := range map[string]string{
		"lab-pi":   "lab-pi",
		"lab-":     "lab-*",
		"lab-7":    "lab-*", // the first that matches
		"lab-x":    "lab-*",
		"edge-7":   "*-7",
		"edge-7-7": "*-7",
		"edge":     "",
		"lab":      "",
	} {
		got := ""
		if a := c.Agent(name); a != nil {
			got = a.Name
		}
		if got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if a := mustLoad(t, write(t, "")).Agent("lab-pi"); a != nil {
		t.Errorf("without blocks: %+v", a)
	}
}

func TestListenersOfAgents(t *testing.T) {
	c := mustLoad(t, write(t, agentListeners+`
agent "unset" {}
agent "given" { listeners = ["LOCAL"] }
agent "control-only" {
  address      = "10.0.0.1"
  encryption   = "aes"
  key_file     = "a"
  aes_key_file = "b"
}
`))
	for i, want := range [][]string{{"web", "closed"}, {"local"}, nil} {
		if a := c.Agents[i]; !slices.Equal(a.Listeners, want) || a.Inbound() != (i == 2) {
			t.Errorf("%s: listeners %q, want %q, inbound %v", a.Name, a.Listeners, want, a.Inbound())
		}
	}
	for i, want := range []bool{true, false, false} {
		if l := c.Listeners[i]; l.Agents != want {
			t.Errorf("%s: agents %v", l.Name, l.Agents)
		}
	}
}

func TestAddressesOfAgents(t *testing.T) {
	for given, want := range map[string]string{
		"plant-3":        "plant-3:46336",
		"plant-3:1":      "plant-3:1",
		"10.0.0.1":       "10.0.0.1:46336",
		"2001:db8::4":    "[2001:db8::4]:46336",
		"[2001:db8::4]":  "[2001:db8::4]:46336",
		"[2001:db8::]:7": "[2001:db8::]:7",
	} {
		c := mustLoad(t, write(t, fmt.Sprintf("agent \"a\" {\n address = %q\n key_file = \"k\"\n}", given)))
		if got := c.Agents[0].Address; got != want {
			t.Errorf("%s: %s, want %s", given, got, want)
		}
	}
	for _, bad := range []string{"", ":46336", "a:", "a:0", "a:b", "300.1.1.1", "a b", "unix:/a", "a:1:2"} {
		if checkAgentAddress(bad) == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestServicesOfAgents(t *testing.T) {
	c := mustLoad(t, write(t, `
service "by-name" { agent = "Lab-PI" }
station "fpga-1" {
  lease = "none"
  service "console" {
    agent        = "lab-pi"
    address      = "127.0.0.1:2001"
    dial_timeout = "3s"
  }
}
`))
	byName, console := c.Services[0], c.Services[1]
	if byName.Agent != "lab-pi" || byName.Addresses != nil || byName.DialTimeout == 0 {
		t.Errorf("got %+v", byName)
	}
	if console.Name != "console.fpga-1" || console.Agent != "lab-pi" || !slices.Equal(console.Addresses, []string{"127.0.0.1:2001"}) {
		t.Errorf("got %+v", console)
	}
}
