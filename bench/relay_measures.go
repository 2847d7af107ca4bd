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

// relaySize is how much of everything the relay scenario does.
type relaySize struct {
	rounds   int
	keys     map[string]bool // what was selected
	sample   time.Duration   // one sample of what takes time
	workers  int             // that open connections at the same time
	idle     int             // sessions
	tries    int             // of every gate
	checksum uint64          // bytes
}

var (
	fullSize  = relaySize{rounds: 10, sample: 500 * time.Millisecond, workers: 16, idle: 1000, tries: 100, checksum: 64 << 20}
	quickSize = relaySize{rounds: 2, sample: 50 * time.Millisecond, workers: 4, idle: 20, tries: 5, checksum: 4 << 20}
)

// The targets are ratios to haproxy, and for idle sessions what one may cost.
var (
	bulkTarget       = compare.Target{AtLeast: 0.95}
	connectTarget    = compare.Target{AtLeast: 0.8}
	p99Target        = compare.Target{AtMost: 1.2}
	memoryTarget     = compare.Target{AtMost: 16, Absolute: true}
	descriptorTarget = compare.Target{AtMost: 2, Absolute: true}
)

// measures returns what was selected.
func (s relaySize) measures() []sampleMeasure {
	return slices.DeleteFunc(s.allMeasures(), func(m sampleMeasure) bool { return !s.keys[m.Key] })
}

func (s relaySize) allMeasures() []sampleMeasure {
	return []sampleMeasure{
		s.bulk("bulk1", 1),
		s.bulk("bulk32", 32),
		s.connects(),
		s.roundTrips("rtt1", 1),
		s.roundTrips("rtt32", 32),
		s.idleSessions(),
	}
}

func (s relaySize) bulk(key string, n int) sampleMeasure {
	return sampleMeasure{
		Key:     key,
		Metrics: []compare.Metric{{Name: "download, " + connections(n), Unit: "MB/s", Target: bulkTarget}},
		Sample: func(ctx context.Context, i *peer.Instance) ([]float64, error) {
			rate, err := measure.Bulk(ctx, i, n, s.sample)
			return []float64{rate}, err
		},
	}
}

func (s relaySize) connects() sampleMeasure {
	name := fmt.Sprintf("new connections, %d at a time", s.workers)
	return sampleMeasure{
		Key:     "connect",
		Metrics: []compare.Metric{{Name: name, Unit: "1/s", Target: connectTarget}},
		Sample: func(ctx context.Context, i *peer.Instance) ([]float64, error) {
			rate, err := measure.Connects(ctx, i, s.workers, s.sample)
			return []float64{rate}, err
		},
	}
}

func (s relaySize) roundTrips(key string, n int) sampleMeasure {
	return sampleMeasure{
		Key: key,
		Metrics: []compare.Metric{
			{Name: "64-byte round trip, " + connections(n) + ", p50", Unit: "µs"},
			{Name: "64-byte round trip, " + connections(n) + ", p99", Unit: "µs", Target: p99Target},
		},
		Sample: func(ctx context.Context, i *peer.Instance) ([]float64, error) {
			p50, p99, err := measure.RoundTrips(ctx, i, n, s.sample)
			return []float64{p50, p99}, err
		},
	}
}

func (s relaySize) idleSessions() sampleMeasure {
	of := fmt.Sprintf(" per idle session, of %d", s.idle)
	return sampleMeasure{
		Key: "idle",
		Metrics: []compare.Metric{
			{Name: "resident memory" + of, Unit: "KiB", Target: memoryTarget},
			{Name: "descriptors" + of, Unit: "count", Target: descriptorTarget},
		},
		Sample: func(ctx context.Context, i *peer.Instance) ([]float64, error) { return idle(ctx, i, s.idle) },
	}
}

// idle samples what each of n idle sessions costs another instance, which is just started.
func idle(ctx context.Context, i *peer.Instance, n int) ([]float64, error) {
	fresh, err := i.Another(ctx)
	if err != nil {
		return nil, err
	}
	defer fresh.Stop()
	kib, descriptors, err := measure.Idle(ctx, fresh, n)
	return []float64{kib, descriptors}, err
}

func connections(n int) string {
	if n == 1 {
		return "1 connection"
	}
	return fmt.Sprintf("%d connections", n)
}

// relayKeys are what --only can name.
func relayKeys() []string {
	var keys []string
	for _, m := range fullSize.allMeasures() {
		keys = append(keys, m.Key)
	}
	return append(keys, "gates")
}
