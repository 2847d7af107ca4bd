//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"jackfield/bench/compare"
	"jackfield/bench/peer"
	"jackfield/bench/process"
)

// longestRun ends a benchmark whatever happens.
const longestRun = 30 * time.Minute

// options are the flags that every scenario has.
type options struct {
	rounds int
	quick  bool
	only   []string
	json   string
	binary string
}

// register declares the flags; keys are what --only can name.
func (o *options) register(cmd *cobra.Command, keys []string) {
	f := cmd.Flags()
	f.IntVar(&o.rounds, "rounds", 10, "how often to sample every program; an interval needs 6 at least")
	f.BoolVar(&o.quick, "quick", false, "a smoke run: a round or two of tiny samples, which say nothing about speed")
	f.StringSliceVar(&o.only, "only", nil, "only these measures: "+strings.Join(keys, ", "))
	f.StringVar(&o.json, "json", "", "write every sample to this `FILE`")
	f.StringVar(&o.binary, "binary", "", "measure the jackfield at this `PATH` instead of building one")
}

// check finds values that no scenario can work with.
func (o options) check() error {
	if o.rounds < 1 {
		return errors.New("--rounds must be 1 at least")
	}
	return nil
}

// selectKeys returns which of all keys were asked for: every one if none was.
func selectKeys(only, all []string) (map[string]bool, error) {
	if len(only) == 0 {
		only = all
	}
	selected := make(map[string]bool)
	for _, key := range only {
		if !slices.Contains(all, key) {
			return nil, fmt.Errorf("--only %s: there is %s", key, strings.Join(all, ", "))
		}
		selected[key] = true
	}
	return selected, nil
}

type (
	contestant    = compare.Contestant[*peer.Instance]
	sampleMeasure = compare.Measure[*peer.Instance]
)

// A scenario is what one subcommand does.
type scenario struct {
	name   string
	users  func() ([]peer.User, error) // everything is done once as each of them
	lineUp func(ctx context.Context, dir string) ([]peer.Peer, error)

	// run starts what it needs and does everything as one user. What it started is stopped when it has returned.
	run func(ctx context.Context, stage peer.Stage, peers []peer.Peer, tick ticker) ([]run, error)
}

// conduct goes through a scenario and reports.
func (o options) conduct(ctx context.Context, s scenario, out, progress io.Writer) error {
	ctx, cancel := context.WithTimeoutCause(ctx, longestRun, fmt.Errorf("stopped after %v", longestRun))
	defer cancel()
	if _, err := process.RaiseDescriptorLimit(); err != nil {
		return fmt.Errorf("descriptor limit: %w", err)
	}
	dir, err := temporary()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	users, err := s.users()
	if err != nil {
		return err
	}
	peers, err := s.lineUp(ctx, dir)
	if err != nil {
		return err
	}
	report, err := newReport(ctx, s.name, peers)
	if err != nil {
		return err
	}
	for _, user := range users {
		runs, err := s.as(ctx, user, peers, dir, newTicker(progress, "as "+user.Name))
		if err != nil {
			return err
		}
		report.Runs = append(report.Runs, runs...)
	}
	return errors.Join(report.print(out), report.save(o.json), report.verdict())
}

// as does everything as one user.
func (s scenario) as(ctx context.Context, user peer.User, peers []peer.Peer, dir string, tick ticker) ([]run, error) {
	defer tick.done()
	supervisor := process.NewSupervisor()
	defer supervisor.Close()
	runs, err := s.run(ctx, peer.Stage{Supervisor: supervisor, Dir: dir, User: user}, peers, tick)
	for k := range runs {
		runs[k].User = user.Name
	}
	return runs, errors.Join(err, context.Cause(ctx))
}
