//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"time"

	"jackfield/bench/compare"
	"jackfield/bench/measure"
	"jackfield/bench/peer"
)

// connectSize is how much of everything the connect scenario does.
type connectSize struct {
	rounds  int
	keys    map[string]bool // what was selected
	sample  time.Duration   // one sample of what takes time
	workers int             // that open sessions at the same time
	idle    int             // sessions
}

var (
	fullConnect  = connectSize{sample: 500 * time.Millisecond, workers: 16, idle: 500}
	quickConnect = connectSize{rounds: 2, sample: 50 * time.Millisecond, workers: 4, idle: 20}
)

// The targets are ratios to haproxy.
var (
	secureBulkTarget = compare.Target{AtLeast: 0.9}
	secureOpenTarget = compare.Target{AtLeast: 0.7}
)

type secureMeasure = compare.Measure[*peer.Secure]

// connectKeys are what --only can name.
func connectKeys() []string {
	var keys []string
	for _, m := range fullConnect.allMeasures() {
		keys = append(keys, m.Key)
	}
	return keys
}

// measures returns what was selected.
func (s connectSize) measures() []secureMeasure {
	return slices.DeleteFunc(s.allMeasures(), func(m secureMeasure) bool { return !s.keys[m.Key] })
}

func (s connectSize) allMeasures() []secureMeasure {
	return []secureMeasure{
		s.bulk("down1", "download", 1, download),
		s.bulk("down16", "download", 16, download),
		s.bulk("up1", "upload", 1, measure.Upload),
		s.bulk("up16", "upload", 16, measure.Upload),
		s.opens(),
		s.resumed(),
		s.hybrid(),
		s.idleSessions(),
	}
}

func download(ctx context.Context, p measure.Sink[*tls.Conn], n int, d time.Duration) (float64, error) {
	return measure.Bulk(ctx, p, n, d)
}

func (s connectSize) bulk(key, direction string, n int,
	move func(context.Context, measure.Sink[*tls.Conn], int, time.Duration) (float64, error)) secureMeasure {
	return secureMeasure{
		Key:     key,
		Metrics: []compare.Metric{{Name: direction + ", " + connections(n), Unit: "MB/s", Target: secureBulkTarget}},
		Sample: func(ctx context.Context, p *peer.Secure) ([]float64, error) {
			rate, err := move(ctx, p, n, s.sample)
			return []float64{rate}, err
		},
	}
}

func (s connectSize) opens() secureMeasure {
	return s.rate("open", "whole handshakes", secureOpenTarget,
		func(_ context.Context, p *peer.Secure) (measure.Path[*tls.Conn], error) { return p, nil })
}

func (s connectSize) resumed() secureMeasure {
	return s.rate("resume", "resumed", secureOpenTarget,
		func(ctx context.Context, p *peer.Secure) (measure.Path[*tls.Conn], error) { return p.Resuming(ctx) })
}

// hybrid has no target: with haproxy of Debian 12 the same clients get the cheaper X25519 alone.
func (s connectSize) hybrid() secureMeasure {
	return s.rate("hybrid", "X25519MLKEM768 where there is one", compare.Target{},
		func(_ context.Context, p *peer.Secure) (measure.Path[*tls.Conn], error) {
			return p.WithDefaultCurves(), nil
		})
}

func (s connectSize) rate(key, how string, target compare.Target,
	way func(context.Context, *peer.Secure) (measure.Path[*tls.Conn], error)) secureMeasure {
	return secureMeasure{
		Key:     key,
		Metrics: []compare.Metric{{Name: fmt.Sprintf("sessions opened, %s, %d at a time", how, s.workers), Unit: "1/s", Target: target}},
		Sample: func(ctx context.Context, p *peer.Secure) ([]float64, error) {
			path, err := way(ctx, p)
			if err != nil {
				return nil, err
			}
			rate, err := measure.Connects(ctx, path, s.workers, s.sample)
			return []float64{rate}, err
		},
	}
}

func (s connectSize) idleSessions() secureMeasure {
	of := fmt.Sprintf(" per idle session, of %d", s.idle)
	return secureMeasure{
		Key: "idle",
		Metrics: []compare.Metric{
			{Name: "resident memory" + of, Unit: "KiB"},
			{Name: "descriptors" + of, Unit: "count"},
		},
		Sample: func(ctx context.Context, p *peer.Secure) ([]float64, error) {
			fresh, err := p.Another(ctx)
			if err != nil {
				return nil, err
			}
			defer fresh.Stop()
			secure, err := fresh.Secure(ctx)
			if err != nil {
				return nil, err
			}
			kib, descriptors, err := measure.Idle(ctx, secure, s.idle)
			return []float64{kib, descriptors}, err
		},
	}
}
