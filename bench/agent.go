//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"jackfield/bench/compare"
	"jackfield/bench/peer"
)

func agentCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "A service behind an agent, beside frp, chisel and ssh -R: throughput, streams, latency, idle streams, idle agents",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.agent(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	o.register(cmd, agentKeys())
	return cmd
}

func (o options) agent(ctx context.Context, out, progress io.Writer) error {
	size := fullAgent
	size.rounds = o.rounds
	if o.quick {
		size = quickAgent
	}
	if err := o.check(); err != nil {
		return err
	}
	var err error
	if size.keys, err = selectKeys(o.only, agentKeys()); err != nil {
		return err
	}
	lineUp := func(ctx context.Context, dir string) ([]peer.Peer, error) { return o.agents(ctx, dir, progress) }
	return o.conduct(ctx, scenario{name: "agent", users: unprivileged, lineUp: lineUp, run: size.run}, out, progress)
}

// agents returns everybody, ready to be started, Jackfield last. Without frp or chisel, which not every module proxy has, the
// others are compared.
func (o options) agents(ctx context.Context, dir string, progress io.Writer) ([]peer.Peer, error) {
	ours := peer.Jackfield{Binary: filepath.Join(dir, "jackfield")}
	if err := installed([]peer.Peer{peer.SSH{}}); err != nil {
		return nil, err
	}
	var peers []peer.Peer
	for _, p := range []peer.Peer{peer.FRP{}, peer.Chisel{}, peer.SSH{}, peer.FRP{Plain: true}} {
		if err := p.Installed(); err != nil {
			fmt.Fprintf(progress, "bench: without %s: %v\n", p.Name(), err)
			continue
		}
		peers = append(peers, p)
	}
	peers = append(peers, peer.JackfieldAgent{Jackfield: ours}, peer.JackfieldAgent{Jackfield: ours, Plain: true})
	return peers, provide(ctx, ours.Binary, o.binary)
}

// run samples all peers in turn, and then a server with many agents.
func (s agentSize) run(ctx context.Context, stage peer.Stage, peers []peer.Peer, tick ticker) ([]run, error) {
	var runs []run
	if measures := s.measures(); len(measures) > 0 {
		names, twice := doubled(peers)
		contestants, err := startAs(ctx, stage, names, twice)
		if err != nil {
			return nil, err
		}
		result, err := compare.Run(ctx, compare.Plan[*peer.Instance]{
			Rounds: s.rounds, Contestants: contestants, Measures: measures, Progress: tick.show,
		})
		if err != nil {
			return nil, err
		}
		runs = sections(result, peers)
	}
	if !s.keys[fleetKey] {
		return runs, nil
	}
	fleet, err := s.fleet(ctx, stage, peers[len(peers)-1].(peer.JackfieldAgent).Jackfield, tick)
	return append(runs, fleet...), err
}

// doubled has the references twice, to show what noise alone does: the first of the peers, and frp without TLS.
func doubled(peers []peer.Peer) (names []string, twice []peer.Peer) {
	for k, p := range peers {
		names, twice = append(names, p.Name()), append(twice, p)
		if k == 0 || p == (peer.FRP{Plain: true}) {
			names, twice = append(names, p.Name()+twin), append(twice, p)
		}
	}
	return names, twice
}

// sections are the tables of one result: Jackfield with TLS beside each of the others that encrypt, and without it beside frp
// without it.
func sections(all *compare.Result, peers []peer.Peer) []run {
	const note = "frp's TLS, at its default, verifies no certificate; chisel and ssh encrypt by SSH, and ssh proves who is at both ends.\n" +
		"Jackfield's agent and server know each other by certificates, each stream's connection included."
	ours, plain := peer.JackfieldAgent{}.Name(), peer.JackfieldAgent{Plain: true}.Name()
	frpPlain := peer.FRP{Plain: true}.Name()
	var secure []string
	withPlain := false
	for _, p := range peers[:len(peers)-2] {
		if p.Name() == frpPlain {
			withPlain = true
		} else {
			secure = append(secure, p.Name())
		}
	}
	first := secure[0]
	names := slices.Concat([]string{first + twin}, secure[1:], []string{ours})
	runs := []run{section(all, "Encrypted", secureTargets[first], ours, first, names...)}
	runs[0].Note, runs[0].Result.Failures = note, all.Failures
	for _, other := range secure[1:] {
		runs = append(runs, section(all, "Ratios to "+other, secureTargets[other], ours, other, ours))
	}
	if withPlain {
		return append(runs, section(all, "Plain", plainTargets, plain, frpPlain, frpPlain+twin, plain))
	}
	return append(runs, section(all, "Plain, beside our own TLS", nil, plain, ours, plain))
}

// section is the part of a result that compares some with a reference, with the targets of the judged one.
func section(all *compare.Result, title string, targets map[string]compare.Target, judged, reference string, names ...string) run {
	part := all.Against(reference, names...)
	for k := range part.Rows {
		part.Rows[k].Metric.Target = targets[part.Rows[k].Metric.Name]
	}
	return run{Title: title, Result: part, judged: []string{judged}}
}
