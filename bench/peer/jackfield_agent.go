//go:build linux

package peer

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"jackfield/bench/process"
)

// JackfieldAgent is Jackfield with an agent that has joined it, and a "tcp" listener for clients.
type JackfieldAgent struct {
	Jackfield
	Plain bool // streams' bytes come without TLS; the agent's link has it all the same
}

// Name says which of the two it is.
func (j JackfieldAgent) Name() string {
	if j.Plain {
		return "jackfield, plain"
	}
	return "jackfield, TLS"
}

// Command leaves everything at its default, the audit included.
func (j JackfieldAgent) Command(p Place) (process.Spec, error) {
	text := fmt.Sprintf(jackfieldAgentConfig, p.Dir, p.Link, p.Listen, p.Service)
	if j.Plain {
		text += fmt.Sprintf(jackfieldPlainConfig, p.Forward)
	}
	file, err := p.write(configName, text)
	return process.Spec{Path: j.Binary, Args: []string{"serve", "--config", file}}, err
}

const jackfieldAgentConfig = `data_dir = %q

listener "agents" {
  protocol = "https"
  listen   = %q
}

listener "clients" {
  protocol = "tcp"
  listen   = %q
  service  = "sink"
}

service "sink" {
  agent   = "bench"
  address = %q
}
`

const jackfieldPlainConfig = `
listener "data" {
  protocol = "agent-data"
  listen   = %q
}

agent "bench" {
  encryption = "none"
}
`

// Device enrols the agent, has it join, and allows it the one service.
func (j JackfieldAgent) Device(p Place) (process.Spec, error) {
	token, err := j.ask(p, "", "enroll", "bench", "--config", filepath.Join(p.Dir, configName))
	if err != nil {
		return process.Spec{}, err
	}
	state := filepath.Join(p.Dir, "agent")
	if _, err := j.ask(p, token, "join", "--server", "https://"+p.Link, "--token-stdin", "--state", state); err != nil {
		return process.Spec{}, err
	}
	file, err := p.write("agent.hcl", fmt.Sprintf("allow = [%q]\n", p.Service))
	return process.Spec{Path: j.Binary, Args: []string{"agent", "run", "--state", state, "--config", file}}, err
}

// ask runs a command about agents as who runs the agent.
func (j JackfieldAgent) ask(p Place, stdin string, args ...string) (stdout string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), readyWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, j.Binary, append([]string{"agent"}, args...)...)
	cmd.Dir = p.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.User.As}
	cmd.Stdin = strings.NewReader(stdin)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("jackfield agent %s: %w: %s", args[0], err, complaint.String())
	}
	return out.String(), nil
}
