package cli

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"jackfield"
	"jackfield/internal/admin"
	"jackfield/internal/agentd"
	"jackfield/internal/agentd/membership"
	"jackfield/internal/api"
	"jackfield/internal/route/dial"
)

// demoAgent is the name of the demo's agent, and the station of what it offers.
const demoAgent = "edge-7"

// demoDevice is the name of the demo's device.
const demoDevice = "meter-7"

// How long the demo's device and agent may take to come.
const demoPatience = 30 * time.Second

// joinAgent does what "agent enroll" and "agent join" do, and returns the agent, which is to be run.
func (d *demo) joinAgent(ctx context.Context, server *api.Client) (run func(context.Context), err error) {
	ctx, cancel := context.WithTimeout(ctx, demoPatience)
	defer cancel()
	enrolled, err := server.EnrollAgent(ctx, api.NewAgent{Name: demoAgent})
	if err != nil {
		return nil, err
	}
	member, err := membership.Join(ctx, membership.Invitation{
		Server: "https://" + d.API, Token: enrolled.Token, Dir: filepath.Join(d.Dir, demoAgent),
	})
	if err != nil {
		return nil, err
	}
	route, err := dial.New(dial.Options{Addresses: []string{d.Edge}})
	if err != nil {
		return nil, err
	}
	a := agentd.New(agentd.Options{Version: "jackfield " + version, Log: slog.New(slog.DiscardHandler)}, agentd.Offer{
		Services: []agentd.Service{{Name: jackfield.Name("console." + demoAgent), Description: "a console behind NAT", Route: route}},
	})
	return func(ctx context.Context) { a.Dial(ctx, agentd.Server{Address: member.Address(), TLS: member.TLS}, nil) }, nil
}

// awaitPlayers waits until the demo's device is connected, and what its agent offers is published: whoever reads what to try may be quick.
func awaitPlayers(ctx context.Context, server *api.Client) error {
	ctx, cancel := context.WithTimeoutCause(ctx, demoPatience, errors.New("the demo's device or agent does not come"))
	defer cancel()
	for {
		all, err := haveCome(ctx, server)
		if err != nil || all {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func haveCome(ctx context.Context, server *api.Client) (all bool, err error) {
	d, err := server.Device(ctx, demoDevice)
	if err != nil || !d.Connected {
		return false, err
	}
	a, err := server.Agent(ctx, demoAgent)
	return err == nil && slices.ContainsFunc(a.Services, func(s api.AgentService) bool { return s.Published }), err
}

// playAgent brings the demo's agent up, which ends with ctx. It returns once the device has come, too.
func (d *demo) playAgent(ctx context.Context, play func(func())) error {
	server, err := admin.Dial(filepath.Join(d.Dir, admin.SocketName))
	if err != nil {
		return err
	}
	run, err := d.joinAgent(ctx, server)
	if err != nil {
		return err
	}
	play(func() { run(ctx) })
	return awaitPlayers(ctx, server)
}
