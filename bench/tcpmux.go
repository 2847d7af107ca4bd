//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"jackfield/bench/compare"
	"jackfield/bench/measure"
	"jackfield/bench/peer"
)

// tcpmuxSize is how much of everything the tcpmux scenario does.
type tcpmuxSize struct {
	rounds  int
	keys    map[string]bool // what was selected
	sample  time.Duration   // the rate and the latency take one each
	workers int             // that go through sessions at the same time, for the rate
}

var (
	fullTCPMUX  = tcpmuxSize{sample: 500 * time.Millisecond, workers: 16}
	quickTCPMUX = tcpmuxSize{rounds: 2, sample: 20 * time.Millisecond, workers: 4}
)

// tcpmuxMeasures are what --only can name, in their order. The targets are ratios to xinetd and to inetutils-inetd.
var tcpmuxMeasures = []struct {
	key    string
	kind   peer.Kind
	name   string
	target compare.Target
}{
	{"cat", peer.Program, "name and /bin/cat", compare.Target{AtLeast: 1}},
	{"dial", peer.Forward, "name and dial (xinetd: no name)", compare.Target{}},
	{"echo", peer.Echo, "name and builtin echo (peers: /bin/cat)", compare.Target{AtLeast: 3}},
}

func tcpmuxKeys() []string {
	var keys []string
	for _, m := range tcpmuxMeasures {
		keys = append(keys, m.key)
	}
	return keys
}

func tcpmuxCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "tcpmux",
		Short: "TCPMUX sessions: a name, then a program, another server or an echo. Needs root",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.tcpmux(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	o.register(cmd, tcpmuxKeys())
	return cmd
}

func (o options) tcpmux(ctx context.Context, out, progress io.Writer) error {
	size := fullTCPMUX
	size.rounds = o.rounds
	if o.quick {
		size = quickTCPMUX
	}
	if err := o.check(); err != nil {
		return err
	}
	var err error
	if size.keys, err = selectKeys(o.only, tcpmuxKeys()); err != nil {
		return err
	}
	return o.conduct(ctx, scenario{name: "tcpmux", users: onlyRoot, lineUp: o.superServers, run: size.run}, out, progress)
}

// onlyRoot is whom xinetd can start programs as, and who may mount inetutils-inetd's file of services.
func onlyRoot() ([]peer.User, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("the tcpmux scenario needs root's rights")
	}
	return []peer.User{{Name: "root"}}, nil
}

// superServers returns xinetd, inetutils-inetd and Jackfield, ready to be started.
func (o options) superServers(ctx context.Context, dir string) ([]peer.Peer, error) {
	ours := peer.JackfieldMux{Jackfield: peer.Jackfield{Binary: filepath.Join(dir, "jackfield")}}
	peers := []peer.Peer{peer.Xinetd{}, peer.Inetutils{}}
	if err := installed(peers); err != nil {
		return nil, err
	}
	return append(peers, ours), provide(ctx, ours.Binary, o.binary)
}

func (s tcpmuxSize) run(ctx context.Context, stage peer.Stage, peers []peer.Peer, tick ticker) ([]run, error) {
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
	return []run{{Result: result, beside: []string{peer.Inetutils{}.Name()}}}, err
}

func (s tcpmuxSize) measures() []sampleMeasure {
	var measures []sampleMeasure
	for _, m := range tcpmuxMeasures {
		if s.keys[m.key] {
			measures = append(measures, sampleMeasure{
				Key: m.key,
				Metrics: []compare.Metric{
					{Name: fmt.Sprintf("%s, %d at a time", m.name, s.workers), Unit: "1/s", Target: m.target},
					{Name: m.name + ", one at a time, p50", Unit: "µs"},
					{Name: m.name + ", one at a time, p99", Unit: "µs"},
				},
				Sample: func(ctx context.Context, i *peer.Instance) ([]float64, error) { return s.sessions(ctx, i, m.kind) },
			})
		}
	}
	return measures
}

// sessions samples the rate and then, one session after the other, the latency.
func (s tcpmuxSize) sessions(ctx context.Context, i *peer.Instance, kind peer.Kind) ([]float64, error) {
	if !i.Offers(kind) {
		return nil, compare.ErrNotOffered
	}
	session := func(ctx context.Context) error { return i.Session(ctx, kind) }
	rate, _, _, err := measure.Sessions(ctx, s.workers, s.sample, session)
	if err != nil {
		return nil, err
	}
	_, p50, p99, err := measure.Sessions(ctx, 1, s.sample, session)
	return []float64{rate, p50, p99}, err
}
