//go:build linux

package main

import (
	"context"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"jackfield/bench/backend"
	"jackfield/bench/compare"
	"jackfield/bench/peer"
)

// mapperSize is how much of everything the mapper scenario does.
type mapperSize struct {
	rounds   int
	keys     map[string]bool // what was selected
	requests int             // in a sample of the latency
	every    time.Duration   // one of these
	batch    int             // clients at the same time, for the rate
	askers   int             // clients at the same time, beside a neighbour
	sample   time.Duration   // the rate takes one, and a neighbour two
}

var (
	fullMapper  = mapperSize{requests: 3, every: 500 * time.Millisecond, batch: 50, askers: 4, sample: 500 * time.Millisecond}
	quickMapper = mapperSize{rounds: 2, requests: 1, every: 50 * time.Millisecond, batch: 4, askers: 2, sample: 20 * time.Millisecond}
)

func mapperCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "mapper",
		Short: "Sessions about which a Python program decides: latency, decisions per second, and what neighbours notice",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.mapper(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	o.register(cmd, mapperKeys())
	return cmd
}

func (o options) mapper(ctx context.Context, out, progress io.Writer) error {
	size := fullMapper
	size.rounds = o.rounds
	if o.quick {
		size = quickMapper
	}
	if err := o.check(); err != nil {
		return err
	}
	var err error
	if size.keys, err = selectKeys(o.only, mapperKeys()); err != nil {
		return err
	}
	return o.conduct(ctx, scenario{name: "mapper", users: onlySelf, lineUp: o.decider, run: size.run}, out, progress)
}

// onlySelf is whoever started the benchmark: whom the programs run as makes no difference here.
func onlySelf() ([]peer.User, error) {
	users, err := peer.Users()
	return users[:min(1, len(users))], err
}

// decider returns the one program of this scenario, which is compared with itself.
func (o options) decider(ctx context.Context, dir string) ([]peer.Peer, error) {
	ours := peer.JackfieldMapper{Jackfield: peer.Jackfield{Binary: filepath.Join(dir, "jackfield")}}
	if err := ours.Installed(); err != nil {
		return nil, err
	}
	return []peer.Peer{ours}, provide(ctx, ours.Binary, o.binary)
}

// run goes through the selected parts with one server, stops it, and looks for what it left.
func (s mapperSize) run(ctx context.Context, stage peer.Stage, peers []peer.Peer, tick ticker) ([]run, error) {
	service, err := backend.Start(stage.Supervisor)
	if err != nil {
		return nil, err
	}
	server, err := stage.Start(ctx, peers[0], service)
	if err != nil {
		return nil, err
	}
	defer sweep(server)
	var runs []run
	for _, p := range s.parts(server) {
		if !s.keys[p.measure.Key] {
			continue
		}
		result, err := compare.Run(ctx, compare.Plan[seat]{
			Rounds:      s.rounds,
			Contestants: p.contestants,
			Measures:    []compare.Measure[seat]{p.measure},
			Progress:    tick.show,
		})
		if err != nil {
			return nil, err
		}
		runs = append(runs, run{Title: p.title, Result: result, judged: p.judged, beside: p.beside})
	}
	return append(runs, run{Result: new(compare.Result), Gates: leftRunning(ctx, server)}), nil
}
