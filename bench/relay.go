//go:build linux

package main

import (
	"context"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"jackfield/bench/compare"
	"jackfield/bench/gate"
	"jackfield/bench/peer"
)

// relayOptions are the flags of the relay scenario.
type relayOptions struct {
	options
	peers []string
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
	o.register(cmd, relayKeys())
	cmd.Flags().StringSliceVar(&o.peers, "peers", []string{"nginx", "socat", "jackfield"}, "whom to compare with haproxy")
	return cmd
}

func (o relayOptions) run(ctx context.Context, out, progress io.Writer) error {
	size, err := o.size()
	if err != nil {
		return err
	}
	return o.conduct(ctx, scenario{
		name:   "relay",
		users:  peer.Users,
		lineUp: func(ctx context.Context, dir string) ([]peer.Peer, error) { return lineUp(ctx, o, dir, progress) },
		run:    size.run,
	}, out, progress)
}

// size checks the flags that choose how much is done.
func (o relayOptions) size() (relaySize, error) {
	size := fullSize
	size.rounds = o.rounds
	if o.quick {
		size = quickSize
	}
	if err := o.check(); err != nil {
		return size, err
	}
	var err error
	size.keys, err = selectKeys(o.only, relayKeys())
	return size, err
}

// run samples all peers in turn and then leads them through the gates.
func (s relaySize) run(ctx context.Context, stage peer.Stage, peers []peer.Peer, tick ticker) ([]run, error) {
	contestants, err := start(ctx, stage, peers)
	if err != nil {
		return nil, err
	}
	result, err := compare.Run(ctx, compare.Plan[*peer.Instance]{
		Rounds:      s.rounds,
		Contestants: contestants,
		Measures:    s.measures(),
		Progress:    tick.show,
	})
	if err != nil {
		return nil, err
	}
	r := run{Result: result}
	for _, c := range contestants {
		if strings.HasSuffix(c.Name, twin) {
			continue
		}
		for _, g := range s.gates() {
			tick.show(c.Name + ": " + g.Name)
			r.Gates = append(r.Gates, gateResult{Program: c.Name, Result: g.Run(ctx, c.Subject)})
		}
	}
	return []run{r}, nil
}

func (s relaySize) gates() []gate.Gate {
	if !s.keys["gates"] {
		return nil
	}
	return gate.All(s.tries, s.checksum)
}
