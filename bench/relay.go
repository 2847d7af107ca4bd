//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"jackfield/bench/compare"
	"jackfield/bench/gate"
	"jackfield/bench/peer"
	"jackfield/bench/process"
)

// longestRun ends a benchmark whatever happens.
const longestRun = 30 * time.Minute

// relayOptions are the flags of the relay scenario.
type relayOptions struct {
	rounds int
	quick  bool
	peers  []string
	only   []string
	json   string
	binary string
}

func relayCommand() *cobra.Command {
	var o relayOptions
	cmd := &cobra.Command{
		Use:   "relay",
		Short: `Plain TCP through a "tcp" listener: throughput, connections, latency, idle sessions, exactness`,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.rounds, "rounds", 10, "how often to sample every program; an interval needs 6 at least")
	f.BoolVar(&o.quick, "quick", false, "a smoke run: two rounds of tiny samples, which say nothing about speed")
	f.StringSliceVar(&o.peers, "peers", []string{"nginx", "socat", "jackfield"}, "whom to compare with haproxy")
	f.StringSliceVar(&o.only, "only", nil, "only these measures: "+relayKeys())
	f.StringVar(&o.json, "json", "", "write every sample to this `FILE`")
	f.StringVar(&o.binary, "binary", "", "measure the jackfield at this `PATH` instead of building one")
	return cmd
}

func (o relayOptions) run(ctx context.Context, out, progress io.Writer) error {
	ctx, cancel := context.WithTimeoutCause(ctx, longestRun, fmt.Errorf("stopped after %v", longestRun))
	defer cancel()
	size, err := o.size()
	if err != nil {
		return err
	}
	if _, err := process.RaiseDescriptorLimit(); err != nil {
		return fmt.Errorf("descriptor limit: %w", err)
	}
	dir, err := temporary()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	peers, err := lineUp(ctx, o, dir, progress)
	if err != nil {
		return err
	}
	users, err := peer.Users()
	if err != nil {
		return err
	}
	report, err := newReport(ctx, "relay", peers)
	if err != nil {
		return err
	}
	for _, user := range users {
		run, err := relay(ctx, size, peers, dir, user, newTicker(progress, "as "+user.Name))
		if err != nil {
			return err
		}
		report.Runs = append(report.Runs, run)
	}
	return errors.Join(report.print(out), report.save(o.json), report.verdict())
}

// size checks the flags that choose how much is done.
func (o relayOptions) size() (relaySize, error) {
	size := fullSize
	if o.quick {
		size = quickSize
	} else {
		size.rounds = o.rounds
	}
	if size.rounds < 1 {
		return size, errors.New("--rounds must be 1 at least")
	}
	var err error
	size.keys, err = selectKeys(o.only)
	return size, err
}

// relay does everything as one user: all peers are up together, sampled in turn, and then led through the gates.
func relay(ctx context.Context, size relaySize, peers []peer.Peer, dir string, user peer.User, tick ticker) (run, error) {
	defer tick.done()
	supervisor := process.NewSupervisor()
	defer supervisor.Close()
	contestants, err := start(ctx, peer.Stage{Supervisor: supervisor, Dir: dir, User: user}, peers)
	if err != nil {
		return run{}, err
	}
	result, err := compare.Run(ctx, compare.Plan[*peer.Instance]{
		Rounds:      size.rounds,
		Contestants: contestants,
		Measures:    size.measures(),
		Progress:    tick.show,
	})
	if err != nil {
		return run{}, err
	}
	r := run{User: user.Name, Result: result}
	for _, c := range contestants {
		if c.Name == twin {
			continue
		}
		for _, g := range size.gates() {
			tick.show(c.Name + ": " + g.Name)
			r.Gates = append(r.Gates, gateResult{Program: c.Name, Result: g.Run(ctx, c.Subject)})
		}
	}
	return r, context.Cause(ctx)
}

func (s relaySize) gates() []gate.Gate {
	if !s.keys["gates"] {
		return nil
	}
	return gate.All(s.tries, s.checksum)
}
