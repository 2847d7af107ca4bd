//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"jackfield/bench/compare"
	"jackfield/bench/peer"
)

func tunnelCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "tunnel",
		Short: "A service behind a device that dials the server: throughput, streams, latency, idle streams",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.tunnel(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	o.register(cmd, tunnelKeys())
	return cmd
}

func (o options) tunnel(ctx context.Context, out, progress io.Writer) error {
	size := fullTunnel
	size.rounds = o.rounds
	if o.quick {
		size = quickTunnel
	}
	if err := o.check(); err != nil {
		return err
	}
	var err error
	if size.keys, err = selectKeys(o.only, tunnelKeys()); err != nil {
		return err
	}
	lineUp := func(ctx context.Context, dir string) ([]peer.Peer, error) { return o.tunnels(ctx, dir, progress) }
	return o.conduct(ctx, scenario{name: "tunnel", users: unprivileged, lineUp: lineUp, run: size.run}, out, progress)
}

// unprivileged is whom sshd runs as without anything of the system's: nobody if root started the benchmark, else who did.
func unprivileged() ([]peer.User, error) {
	users, err := peer.Users()
	return users[max(0, len(users)-1):], err
}

// tunnels returns ssh, chisel and Jackfield, ready to be started. Without chisel, which not every module proxy has, the
// others are compared.
func (o options) tunnels(ctx context.Context, dir string, progress io.Writer) ([]peer.Peer, error) {
	ours := peer.JackfieldTunnel{Jackfield: peer.Jackfield{Binary: filepath.Join(dir, "jackfield")}}
	peers := []peer.Peer{peer.SSH{}}
	if err := installed(peers); err != nil {
		return nil, err
	}
	if err := (peer.Chisel{}).Installed(); err != nil {
		fmt.Fprintf(progress, "bench: without chisel: %v\n", err)
	} else {
		peers = append(peers, peer.Chisel{})
	}
	return append(peers, ours), provide(ctx, ours.Binary, o.binary)
}

// run samples all peers in turn.
func (s tunnelSize) run(ctx context.Context, stage peer.Stage, peers []peer.Peer, tick ticker) ([]run, error) {
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
	r := run{
		Note: "ssh and chisel encrypt what goes through the link, and ssh proves who is at its ends. " +
			"Jackfield's Mihini link does neither.\nA target is reached if it is against both.",
		Result: result,
		judged: []string{peer.JackfieldTunnel{}.Name()},
	}
	for _, p := range peers[1 : len(peers)-1] {
		r.beside = append(r.beside, p.Name())
	}
	return []run{r}, err
}
