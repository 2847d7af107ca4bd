//go:build linux

// Package fleet is many agents of Jackfield in one process, as a load for a server.
//
// Join makes directories the machines of agents, once; a child process, which is the benchmark's own program with Command as
// its argument, then runs them all. Each offers one service, Service(name), which is a TCP port on this machine.
package fleet

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"jackfield"
	"jackfield/bench/process"
	"jackfield/internal/agentd"
	"jackfield/internal/agentd/membership"
	"jackfield/internal/api"
)

// Command is the argument that makes the benchmark's own binary run Child.
const Command = "fleet"

// pause is between the starts of two agents: a server takes only so many handshakes at a time from one address.
const pause = 4 * time.Millisecond

// Name is that of the n-th agent.
func Name(n int) string { return fmt.Sprintf("edge-%d", n) }

// Service is the service that an agent offers.
func Service(agent string) string { return "echo." + agent }

// Join enrols agents at a server, by its admin socket, has them join at its address, and returns the directory of each, below dir.
func Join(ctx context.Context, admin *api.Client, server, dir string, names []string) ([]string, error) {
	dirs, errs := make([]string, len(names)), make([]error, len(names))
	var wg sync.WaitGroup
	places := make(chan struct{}, 8)
	for k, name := range names {
		dirs[k] = filepath.Join(dir, name)
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			errs[k] = join(ctx, admin, server, dirs[k], name)
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return dirs, nil
}

// attempts is how often an agent tries to join: a busy server may have no time for it.
const attempts = 5

func join(ctx context.Context, admin *api.Client, server, dir, name string) error {
	var err error
	for k := range attempts {
		var enrolled api.Enrolment
		if enrolled, err = admin.EnrollAgent(ctx, api.NewAgent{Name: name, Again: k > 0}); err == nil {
			i := membership.Invitation{Server: "https://" + server, Token: enrolled.Token, Dir: dir, Again: k > 0}
			_, err = membership.Join(ctx, i)
		}
		if err == nil || ctx.Err() != nil || jackfield.AsError(err).Kind != jackfield.Unavailable {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("agent %s: %w", name, err)
	}
	return nil
}

// Start runs the agents of these directories in a child process. Their service is at the address.
func Start(s *process.Supervisor, address string, dirs []string) (*process.Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return s.Start(process.Spec{Path: self, Args: append([]string{Command, address}, dirs...)})
}

// Child runs the agents until ctx ends.
func Child(ctx context.Context, address string, dirs []string) error {
	if _, err := process.RaiseDescriptorLimit(); err != nil {
		return err
	}
	members := make([]*membership.Membership, len(dirs))
	for k, dir := range dirs {
		var err error
		if members[k], err = membership.Load(dir); err != nil {
			return err
		}
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, m := range members {
		a := agentd.New(agentd.Options{Version: "bench", Log: slog.New(slog.DiscardHandler)}, agentd.Offer{Services: []agentd.Service{
			{Name: jackfield.Name(Service(m.Name())), Route: port(address)},
		}})
		wg.Go(func() { _ = a.Dial(ctx, agentd.Server{Address: m.Address(), TLS: m.TLS}, ctx.Done()) })
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
	return nil
}

// A port is a route to a TCP port.
type port string

// Open implements jackfield.Route.
func (p port) Open(ctx context.Context, _ *jackfield.Request) (jackfield.Stream, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp4", string(p))
	if err != nil {
		return nil, err
	}
	return c.(*net.TCPConn), nil
}

// String implements jackfield.Route.
func (p port) String() string { return "dial " + string(p) }
