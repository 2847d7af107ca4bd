//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"jackfield/bench/compare"
	"jackfield/bench/measure"
	"jackfield/bench/peer"
)

// A seat is what is compared here: sessions of one kind, with something else going on meanwhile.
type seat struct {
	kind peer.Kind
	load func(ctx context.Context) error // repeated by every asker; nil: nothing
}

// A part is one question to the scenario. The first contestant is the reference.
type part struct {
	title       string
	contestants []compare.Contestant[seat]
	judged      []string // whom the target is for
	beside      []string // a further reference for the first of them
	measure     compare.Measure[seat]
}

// mapperKeys are what --only can name.
func mapperKeys() []string {
	var keys []string
	for _, p := range fullMapper.parts(nil) {
		keys = append(keys, p.measure.Key)
	}
	return keys
}

// The targets are ratios to the first contestant of the part.
var (
	warmTarget      = compare.Target{AtMost: 0.4}
	batchTarget     = compare.Target{AtLeast: 10}
	neighbourTarget = compare.Target{AtMost: 1.3}
)

func (s mapperSize) parts(server *peer.Instance) []part {
	return []part{s.latency(server), s.batches(server), s.neighbours(server)}
}

// latency compares programs started when they are asked with programs started ahead, and with no program at all.
func (s mapperSize) latency(server *peer.Instance) part {
	warm := fmt.Sprintf("warm = %d", peer.Ahead)
	return part{
		title: "Latency of a decision",
		contestants: []compare.Contestant[seat]{
			{Name: "warm = 0", Subject: seat{kind: peer.Cold}},
			{Name: "warm = 0" + twin, Subject: seat{kind: peer.Cold}},
			{Name: warm, Subject: seat{kind: peer.Warm}},
			{Name: "no mapper", Subject: seat{kind: peer.Echo}},
		},
		judged: []string{warm},
		measure: compare.Measure[seat]{
			Key: "latency",
			Metrics: []compare.Metric{
				{Name: fmt.Sprintf("connect to +, one every %v, p50", s.every), Unit: "µs", Target: warmTarget},
				{Name: fmt.Sprintf("connect to +, one every %v, p99", s.every), Unit: "µs"},
			},
			Sample: func(ctx context.Context, on seat) ([]float64, error) {
				if err := quiet(ctx, server); err != nil {
					return nil, err
				}
				ask := func(ctx context.Context) error { return server.Ask(ctx, on.kind) }
				p50, p99, err := measure.Paced(ctx, s.requests, s.every, ask)
				return []float64{p50, p99}, err
			},
		},
	}
}

// batches compares a process for each session with one for many.
func (s mapperSize) batches(server *peer.Instance) part {
	return part{
		title: "Decisions per second",
		contestants: []compare.Contestant[seat]{
			{Name: "batch = 1", Subject: seat{kind: peer.Cold}},
			{Name: "batch = 1" + twin, Subject: seat{kind: peer.Cold}},
			{Name: "batch = 50", Subject: seat{kind: peer.Batch}},
		},
		judged: []string{"batch = 50"},
		measure: compare.Measure[seat]{
			Key: "batch",
			Metrics: []compare.Metric{
				{Name: fmt.Sprintf("decisions, %d clients at a time", s.batch), Unit: "1/s", Target: batchTarget},
			},
			Sample: func(ctx context.Context, on seat) ([]float64, error) {
				if err := quiet(ctx, server); err != nil {
					return nil, err
				}
				ask := func(ctx context.Context) error { return server.Ask(ctx, on.kind) }
				rate, _, _, err := measure.Sessions(ctx, s.batch, s.sample, ask)
				return []float64{rate}, err
			},
		},
	}
}

// neighbours compares sessions without a mapper: with the server to themselves, while a program decides about others, while
// that program hangs, and while the same program runs as often, but not for Jackfield.
func (s mapperSize) neighbours(server *peer.Instance) part {
	alone := seat{kind: peer.Forward}
	under := func(load func(ctx context.Context) error) seat { return seat{kind: peer.Forward, load: load} }
	asked := fmt.Sprintf("%d ask a mapper", s.askers)
	hung := fmt.Sprintf("%d ask one that hangs", s.askers)
	without := fmt.Sprintf("%d run the program, without Jackfield", s.askers)
	return part{
		title: "Neighbours without a mapper",
		contestants: []compare.Contestant[seat]{
			{Name: "alone", Subject: alone},
			{Name: "alone" + twin, Subject: alone},
			{Name: asked, Subject: under(func(ctx context.Context) error { return server.Ask(ctx, peer.Cold) })},
			{Name: hung, Subject: under(func(ctx context.Context) error { return refused(server.Ask(ctx, peer.Hung)) })},
			{Name: without, Subject: under(func(ctx context.Context) error { return server.RunDecider(ctx) })},
		},
		judged: []string{asked, hung},
		beside: []string{without},
		measure: compare.Measure[seat]{
			Key: "neighbour",
			Metrics: []compare.Metric{
				{Name: "connect to +, p50", Unit: "µs"},
				{Name: "connect to +, p99", Unit: "µs", Target: neighbourTarget},
				{Name: "64-byte round trip, p50", Unit: "µs"},
				{Name: "64-byte round trip, p99", Unit: "µs", Target: neighbourTarget},
			},
			Sample: func(ctx context.Context, on seat) ([]float64, error) { return s.neighbour(ctx, server, on) },
		},
	}
}

// neighbour samples sessions, and then messages in one, beside the load.
func (s mapperSize) neighbour(ctx context.Context, server *peer.Instance, on seat) (values []float64, err error) {
	if err := quiet(ctx, server); err != nil {
		return nil, err
	}
	err = beside(ctx, s.askers, on.load, func(ctx context.Context) error {
		ask := func(ctx context.Context) error { return server.Ask(ctx, on.kind) }
		_, setUp50, setUp99, err := measure.Sessions(ctx, 1, s.sample, ask)
		if err != nil {
			return err
		}
		trip50, trip99, err := measure.RoundTrips(ctx, peer.Through{Instance: server, Kind: on.kind}, 1, s.sample)
		values = []float64{setUp50, setUp99, trip50, trip99}
		return err
	})
	return values, err
}

// beside does something while workers repeat the load, and returns when they have all ended.
func beside(ctx context.Context, workers int, load, do func(ctx context.Context) error) error {
	if load == nil {
		return do(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	errs := make([]error, workers)
	var done atomic.Bool
	var wg sync.WaitGroup
	for k := range workers {
		wg.Go(func() {
			for errs[k] == nil && !done.Load() {
				errs[k] = load(ctx)
			}
		})
	}
	err := do(ctx)
	done.Store(true)
	wg.Wait()
	return errors.Join(append(errs, err)...)
}

// refused turns around what a client is told whose session must not be.
func refused(err error) error {
	switch {
	case errors.Is(err, peer.ErrRefused):
		return nil
	case err == nil:
		return errors.New("a program that hangs let a session pass")
	}
	return err
}
