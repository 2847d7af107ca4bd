//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"jackfield/bench/backend"
	"jackfield/bench/compare"
	"jackfield/bench/fleet"
	"jackfield/bench/measure"
	"jackfield/bench/peer"
	"jackfield/bench/process"
	"jackfield/internal/api"
)

// fleetKey is what --only can name: a server with many agents.
const fleetKey = "agents"

// The targets are what one may cost the server.
var (
	idleAgentTarget  = compare.Target{AtMost: 40, Absolute: true}
	pooledConnTarget = compare.Target{AtMost: 28, Absolute: true}
)

// firstAgents come before the server is weighed for the first time, so that its code is in memory by then.
const firstAgents = 16

// fleetWithin is how long agents may take to come, or to be asked for a stream each.
const fleetWithin = 2 * time.Minute

// A fleetTest is a server to which agents come.
type fleetTest struct {
	stage   peer.Stage
	server  *peer.Instance
	service string   // behind the agents
	names   []string // of the agents
	dirs    []string // of the same
}

// fleet starts a server over and over, and weighs it with and without its agents, which are in a process of their own.
func (s agentSize) fleet(ctx context.Context, stage peer.Stage, binary peer.Jackfield, tick ticker) ([]run, error) {
	tick.show("agents join")
	dir, err := inMemory()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	stage.Dir = dir
	t, err := newFleetTest(ctx, stage, binary, firstAgents+s.agents)
	if err != nil {
		return nil, err
	}
	defer t.server.Stop()
	name := binary.Name()
	result, err := compare.Run(ctx, compare.Plan[*fleetTest]{
		Rounds:      s.rounds,
		Contestants: []compare.Contestant[*fleetTest]{{Name: name, Subject: t}},
		Measures:    []compare.Measure[*fleetTest]{t.measure(s.agents)},
		Progress:    tick.show,
	})
	return []run{{Title: "A server with idle agents", Result: result, judged: []string{name}}}, err
}

// inMemory is a temporary directory as temporary makes it, but in memory if it can be: each agent that joins is several writes to
// the server's store, which waits for the disk each time.
func inMemory() (string, error) {
	dir, err := os.MkdirTemp("/dev/shm", "jackfield-bench-")
	if err != nil {
		return temporary()
	}
	return dir, os.Chmod(dir, 0o711)
}

// newFleetTest starts the server, and has n agents join it.
func newFleetTest(ctx context.Context, stage peer.Stage, binary peer.Jackfield, n int) (*fleetTest, error) {
	t := &fleetTest{stage: stage}
	for k := range n {
		t.names = append(t.names, fleet.Name(k))
	}
	var err error
	if t.service, err = backend.Start(stage.Supervisor); err != nil {
		return nil, err
	}
	if t.server, err = stage.Start(ctx, peer.JackfieldFleet{Jackfield: binary}, t.service); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(stage.Dir, "fleet-")
	if err != nil {
		return nil, err
	}
	admin, err := api.NewClient(api.ClientOptions{Socket: t.server.AdminSocket()})
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	t.dirs, err = fleet.Join(ctx, admin, t.server.Link(), dir, t.names)
	return t, err
}

func (t *fleetTest) measure(agents int) compare.Measure[*fleetTest] {
	of := fmt.Sprintf(", of %d", agents)
	return compare.Measure[*fleetTest]{
		Key: fleetKey,
		Metrics: []compare.Metric{
			{Name: "resident memory of the server per idle agent" + of, Unit: "KiB", Target: idleAgentTarget},
			{Name: "resident memory of the server per connection kept ready", Unit: "KiB", Target: pooledConnTarget},
		},
		Sample: func(ctx context.Context, t *fleetTest) ([]float64, error) {
			ctx, cancel := context.WithTimeout(ctx, 3*fleetWithin)
			defer cancel()
			return t.sample(ctx)
		},
	}
}

func (t *fleetTest) sample(ctx context.Context) ([]float64, error) {
	if err := t.server.Restart(ctx); err != nil {
		return nil, err
	}
	first, err := t.bring(ctx, 0, firstAgents)
	if err != nil {
		return nil, err
	}
	defer first.Stop()
	if err := t.streams(ctx, 0, firstAgents, 1); err != nil {
		return nil, err
	}
	without, err := t.weigh(ctx)
	if err != nil {
		return nil, err
	}
	rest, err := t.bring(ctx, firstAgents, len(t.names))
	if err != nil {
		return nil, err
	}
	defer rest.Stop()
	with, err := t.weigh(ctx)
	if err != nil {
		return nil, err
	}
	pooled, err := t.pooled(ctx)
	return []float64{measure.CostOf(without, with, len(t.names)-firstAgents).KiB, pooled}, err
}

// pooled is what a connection costs that is kept ready. What streams at the same time have used is kept for the next ones; the first
// stream of each agent does not count, for what else comes with it.
func (t *fleetTest) pooled(ctx context.Context) (kib float64, err error) {
	const more = 3
	if err := t.streams(ctx, firstAgents, len(t.names), 1); err != nil {
		return 0, err
	}
	before, err := t.weigh(ctx)
	if err != nil {
		return 0, err
	}
	if err := t.streams(ctx, firstAgents, len(t.names), 1+more); err != nil {
		return 0, err
	}
	with, err := t.weigh(ctx)
	if err != nil {
		return 0, err
	}
	gained := with.Descriptors - before.Descriptors
	if gained < (len(t.names)-firstAgents)*more/2 {
		return 0, fmt.Errorf("only %d connections were kept ready", gained)
	}
	return measure.CostOf(before, with, gained).KiB, nil
}

// bring starts agents, and waits until each has a link, which is a descriptor of the server's.
func (t *fleetTest) bring(ctx context.Context, from, to int) (*process.Process, error) {
	before, err := t.weigh(ctx) // what a server has open only while it starts is not counted
	if err != nil {
		return nil, err
	}
	agents, err := fleet.Start(t.stage.Supervisor, t.service, t.dirs[from:to])
	if err != nil {
		return nil, err
	}
	err = until(ctx, func() error {
		now, err := t.server.Usage()
		if err == nil && now.Descriptors < before.Descriptors+to-from {
			err = fmt.Errorf("of %d agents %d have come", to-from, now.Descriptors-before.Descriptors)
		}
		return err
	})
	if err != nil {
		agents.Stop()
		return nil, err
	}
	return agents, nil
}

// streams goes through some sessions of each of some agents, agent after agent.
func (t *fleetTest) streams(ctx context.Context, from, to, each int) error {
	for _, name := range t.names[from:to] {
		err := until(ctx, func() error { return t.server.Sessions(ctx, peer.Kind(fleet.Service(name)), each) })
		if err != nil {
			return fmt.Errorf("a stream of agent %s: %w", name, err)
		}
	}
	return nil
}

func (t *fleetTest) weigh(ctx context.Context) (process.Usage, error) {
	usages, err := measure.Steady(ctx, t.server.Usages)
	if err != nil {
		return process.Usage{}, err
	}
	return usages[0], nil
}

// until tries until it works, or fleetWithin has passed: then it returns what has kept it from working.
func until(ctx context.Context, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, fleetWithin)
	defer cancel()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, context.Cause(ctx))
		case <-time.After(20 * time.Millisecond):
		}
	}
}
