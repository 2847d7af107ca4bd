//go:build linux

package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"jackfield/bench/compare"
	"jackfield/bench/measure"
	"jackfield/bench/peer"
)

// agentSize is how much of everything the agent scenario does.
type agentSize struct {
	rounds  int
	keys    map[string]bool // what was selected
	sample  time.Duration   // one sample of what takes time
	workers int             // that open streams at the same time
	paced   int             // streams of a sample of those that are opened now and then
	idle    int             // streams
	agents  int             // that a server has, idle
}

var (
	fullAgent  = agentSize{sample: 500 * time.Millisecond, workers: 8, paced: 60, idle: 500, agents: 1000}
	quickAgent = agentSize{rounds: 1, sample: 50 * time.Millisecond, workers: 4, paced: 5, idle: 20, agents: 20}
)

// pace is between the beginnings of two streams that are opened now and then.
const pace = 10 * time.Millisecond

// What has targets.
const (
	bulk1      = "download, 1 stream"
	bulk8      = "download, 8 streams"
	openedRate = "streams opened and closed, 8 at a time"
	openedP50  = "connect to first byte back, one after the other, p50"
	openedP99  = "connect to first byte back, one after the other, p99"
	pacedP50   = "connect to first byte back, one every 10 ms, p50"
	pacedP99   = "connect to first byte back, one every 10 ms, p99"
)

// The targets are ratios: of Jackfield with TLS to others that encrypt, and without it to frp without it.
var (
	double        = compare.Target{AtLeast: 2}
	noLess        = compare.Target{AtLeast: 1}
	noMore        = compare.Target{AtMost: 1}
	secureTargets = map[string]map[string]compare.Target{
		peer.FRP{}.Name(): {
			bulk1: double, bulk8: double, openedRate: double, openedP50: noMore, openedP99: noMore, pacedP50: noMore, pacedP99: noMore,
		},
		peer.Chisel{}.Name(): {bulk1: double, bulk8: double, openedRate: double},
	}
	plainTargets = map[string]compare.Target{
		bulk1: noLess, bulk8: noLess, openedRate: noLess, openedP50: noMore, openedP99: noMore, pacedP50: noMore, pacedP99: noMore,
	}
)

// agentKeys are what --only can name.
func agentKeys() []string {
	var keys []string
	for _, m := range fullAgent.allMeasures() {
		keys = append(keys, m.Key)
	}
	return append(keys, fleetKey)
}

// measures returns what was selected.
func (s agentSize) measures() []sampleMeasure {
	return slices.DeleteFunc(s.allMeasures(), func(m sampleMeasure) bool { return !s.keys[m.Key] })
}

func (s agentSize) allMeasures() []sampleMeasure {
	return []sampleMeasure{
		s.bulk("bulk1", bulk1, 1),
		s.bulk("bulk8", bulk8, 8),
		s.streams(),
		s.open(),
		s.paces(),
		s.beside(),
		s.idleStreams(),
	}
}

func (s agentSize) bulk(key, name string, n int) sampleMeasure {
	return sampleMeasure{
		Key:     key,
		Metrics: []compare.Metric{{Name: name, Unit: "MB/s"}},
		Sample: func(ctx context.Context, i *peer.Instance) ([]float64, error) {
			rate, err := measure.Bulk(ctx, i, n, s.sample)
			return []float64{rate}, err
		},
	}
}

func (s agentSize) streams() sampleMeasure {
	return sampleMeasure{
		Key:     "streams",
		Metrics: []compare.Metric{{Name: openedRate, Unit: "1/s"}},
		Sample: func(ctx context.Context, i *peer.Instance) ([]float64, error) {
			rate, err := measure.Connects(ctx, i, s.workers, s.sample)
			return []float64{rate}, err
		},
	}
}

func (s agentSize) open() sampleMeasure {
	return sampleMeasure{
		Key:     "open",
		Metrics: []compare.Metric{{Name: openedP50, Unit: "µs"}, {Name: openedP99, Unit: "µs"}},
		Sample: func(ctx context.Context, i *peer.Instance) ([]float64, error) {
			_, p50, p99, err := measure.Sessions(ctx, 1, s.sample, i.Open)
			return []float64{p50, p99}, err
		},
	}
}

func (s agentSize) paces() sampleMeasure {
	return sampleMeasure{
		Key:     "paced",
		Metrics: []compare.Metric{{Name: pacedP50, Unit: "µs"}, {Name: pacedP99, Unit: "µs"}},
		Sample: func(ctx context.Context, i *peer.Instance) ([]float64, error) {
			p50, p99, err := measure.Paced(ctx, s.paced, pace, i.Open)
			return []float64{p50, p99}, err
		},
	}
}

func (s agentSize) beside() sampleMeasure {
	const name = "64-byte round trip beside a download, "
	return sampleMeasure{
		Key: "rtt",
		Metrics: []compare.Metric{
			{Name: name + "p50", Unit: "µs"},
			{Name: name + "p99", Unit: "µs"},
			{Name: "that download", Unit: "MB/s"},
		},
		Sample: func(ctx context.Context, i *peer.Instance) ([]float64, error) {
			p50, p99, rate, err := measure.Beside(ctx, i, s.sample)
			return []float64{p50, p99, rate}, err
		},
	}
}

func (s agentSize) idleStreams() sampleMeasure {
	name := fmt.Sprintf("resident memory per idle stream, of %d, ", s.idle)
	return sampleMeasure{
		Key: "idle",
		Metrics: []compare.Metric{
			{Name: name + "server", Unit: "KiB"},
			{Name: name + "agent", Unit: "KiB"},
		},
		Sample: func(ctx context.Context, i *peer.Instance) ([]float64, error) {
			fresh, err := i.Another(ctx)
			if err != nil {
				return nil, err
			}
			defer fresh.Stop()
			costs, err := measure.IdleEach(ctx, fresh, s.idle)
			if err != nil {
				return nil, err
			}
			return []float64{costs[0].KiB, costs[1].KiB}, nil
		},
	}
}
