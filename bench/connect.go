//go:build linux

package main

import (
	"context"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"jackfield/bench/compare"
	"jackfield/bench/peer"
)

func connectCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "connect",
		Short: "HTTP CONNECT over TLS, beside haproxy that ends TLS: throughput, sessions opened, idle sessions",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.connect(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	o.register(cmd, connectKeys())
	return cmd
}

func (o options) connect(ctx context.Context, out, progress io.Writer) error {
	size := fullConnect
	size.rounds = o.rounds
	if o.quick {
		size = quickConnect
	}
	if err := o.check(); err != nil {
		return err
	}
	var err error
	if size.keys, err = selectKeys(o.only, connectKeys()); err != nil {
		return err
	}
	lineUp := func(ctx context.Context, dir string) ([]peer.Peer, error) { return o.terminators(ctx, dir, progress) }
	return o.conduct(ctx, scenario{name: "connect", users: unprivileged, lineUp: lineUp, run: size.run}, out, progress)
}

// terminators returns haproxy and Jackfield with the same certificate, ready to be started.
func (o options) terminators(ctx context.Context, dir string, progress io.Writer) ([]peer.Peer, error) {
	certificate, err := peer.NewCertificate()
	if err != nil {
		return nil, err
	}
	reference := peer.HAProxyTLS{Certificate: certificate}
	ours := peer.JackfieldConnect{Jackfield: peer.Jackfield{Binary: filepath.Join(dir, "jackfield")}, Certificate: certificate}
	if err := install(ctx, []peer.Peer{reference}, progress); err != nil {
		return nil, err
	}
	return []peer.Peer{reference, ours}, provide(ctx, ours.Binary, o.binary)
}

// run samples all peers in turn.
func (s connectSize) run(ctx context.Context, stage peer.Stage, peers []peer.Peer, tick ticker) ([]run, error) {
	contestants, err := start(ctx, stage, peers)
	if err != nil {
		return nil, err
	}
	plan := compare.Plan[*peer.Secure]{Rounds: s.rounds, Measures: s.measures(), Progress: tick.show}
	for _, c := range contestants {
		secure, err := c.Subject.Secure(ctx)
		if err != nil {
			return nil, err
		}
		plan.Contestants = append(plan.Contestants, compare.Contestant[*peer.Secure]{Name: c.Name, Subject: secure})
	}
	result, err := compare.Run(ctx, plan)
	const note = "haproxy ends TLS and asks nobody who they are. Jackfield does that, too, checks the token and the rules for each\n" +
		"session, and records its beginning and its end."
	return []run{{Note: note, Result: result}}, err
}
