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

// tunnelSize is how much of everything the tunnel scenario does.
type tunnelSize struct {
	rounds  int
	keys    map[string]bool // what was selected
	sample  time.Duration   // one sample of what takes time
	workers int             // that open streams at the same time
	idle    int             // streams; a Mihini link has 256 at most
}

var (
	fullTunnel  = tunnelSize{sample: 500 * time.Millisecond, workers: 8, idle: 200}
	quickTunnel = tunnelSize{rounds: 2, sample: 50 * time.Millisecond, workers: 4, idle: 20}
)

// The targets are ratios to each of the other tunnels.
var (
	moreTarget = compare.Target{AtLeast: 1.5}
	lessTarget = compare.Target{AtMost: 0.67}
)

// tunnelKeys are what --only can name.
func tunnelKeys() []string {
	var keys []string
	for _, m := range fullTunnel.allMeasures() {
		keys = append(keys, m.Key)
	}
	return keys
}

// measures returns what was selected.
func (s tunnelSize) measures() []sampleMeasure {
	return slices.DeleteFunc(s.allMeasures(), func(m sampleMeasure) bool { return !s.keys[m.Key] })
}

func (s tunnelSize) allMeasures() []sampleMeasure {
	return []sampleMeasure{
		s.bulk("bulk1", "1 stream", 1),
		s.bulk("bulk8", "8 streams", 8),
		s.streams(),
		s.open(),
		s.idleStreams(),
	}
}

func (s tunnelSize) bulk(key, streams string, n int) sampleMeasure {
	return sampleMeasure{
		Key:     key,
		Metrics: []compare.Metric{{Name: "download, " + streams, Unit: "MB/s", Target: moreTarget}},
		Sample: func(ctx context.Context, i *peer.Instance) ([]float64, error) {
			rate, err := measure.Bulk(ctx, i, n, s.sample)
			return []float64{rate}, err
		},
	}
}

func (s tunnelSize) streams() sampleMeasure {
	name := fmt.Sprintf("streams opened and closed, %d at a time", s.workers)
	return sampleMeasure{
		Key:     "streams",
		Metrics: []compare.Metric{{Name: name, Unit: "1/s", Target: moreTarget}},
		Sample: func(ctx context.Context, i *peer.Instance) ([]float64, error) {
			rate, err := measure.Connects(ctx, i, s.workers, s.sample)
			return []float64{rate}, err
		},
	}
}

func (s tunnelSize) open() sampleMeasure {
	return sampleMeasure{
		Key: "open",
		Metrics: []compare.Metric{
			{Name: "connect to first byte back, one at a time, p50", Unit: "µs", Target: lessTarget},
			{Name: "connect to first byte back, one at a time, p99", Unit: "µs"},
		},
		Sample: func(ctx context.Context, i *peer.Instance) ([]float64, error) {
			_, p50, p99, err := measure.Sessions(ctx, 1, s.sample, i.Open)
			return []float64{p50, p99}, err
		},
	}
}

func (s tunnelSize) idleStreams() sampleMeasure {
	of := fmt.Sprintf(" per idle stream, of %d, both ends", s.idle)
	return sampleMeasure{
		Key: "idle",
		Metrics: []compare.Metric{
			{Name: "resident memory" + of, Unit: "KiB", Target: lessTarget},
			{Name: "descriptors" + of, Unit: "count"},
		},
		Sample: func(ctx context.Context, i *peer.Instance) ([]float64, error) { return idle(ctx, i, s.idle) },
	}
}
