//go:build linux

package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"jackfield"
	"jackfield/bench/compare"
	"jackfield/bench/measure"
	"jackfield/internal/audit"
	"jackfield/internal/audit/journal"
	"jackfield/internal/store"
)

// A recorder makes what the audit's lines go to beside the file. settle returns when all of them are in the store; nil: none is.
type recorder func(j store.Journal) (sink audit.Sink, settle func(ctx context.Context) error)

const fileAlone = "the file alone"

// records compares what an audit record costs: into the file alone, into the journal one by one, and into it as Jackfield does,
// which is many lines in one record while the one before is being written.
func (s storeSize) records(ctx context.Context, title string, st store.Store, dir string, tick ticker) ([]run, error) {
	if !s.keys[auditKey] {
		return nil, nil
	}
	const one, ours = "a write to the journal for each", "the file and the journal, as jackfield"
	contestants := []compare.Contestant[recorder]{
		{Name: one, Subject: oneByOne},
		{Name: one + twin, Subject: oneByOne},
		{Name: ours, Subject: grouped},
		{Name: fileAlone, Subject: unsent},
	}
	measures := []compare.Measure[recorder]{{
		Key: auditKey,
		Metrics: []compare.Metric{
			{Name: "record, until its session goes on, p50", Unit: "µs"},
			{Name: "record, until its session goes on, p99", Unit: "µs"},
			{Name: "records that are in the store", Unit: "1/s"},
		},
		Sample: func(ctx context.Context, r recorder) ([]float64, error) { return s.record(ctx, r, st, dir) },
	}}
	runs, err := sampleAll(ctx, s, title, contestants, measures, tick)
	for k := range runs {
		runs[k].judged, runs[k].beside = []string{ours}, []string{fileAlone}
	}
	return runs, err
}

// record opens sessions, one after the other, as far as the audit goes.
func (s storeSize) record(ctx context.Context, r recorder, st store.Store, dir string) (values []float64, err error) {
	own, err := os.MkdirTemp(dir, "audit-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(own)
	j, err := st.Journal(ctx, journal.Name, store.Retention{})
	if err != nil {
		return nil, err
	}
	sink, settle := r(j)
	log, err := audit.Open(audit.Options{Path: filepath.Join(own, "audit.jsonl"), Sink: sink, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	defer log.Close()

	count := 0
	began := time.Now()
	_, p50, p99, err := measure.Sessions(ctx, 1, s.sample, func(context.Context) error {
		count++
		return log.Opened(session(count))
	})
	if settle == nil {
		return []float64{p50, p99}, err
	}
	if settled := settle(ctx); settled != nil {
		return nil, settled
	}
	return []float64{p50, p99, float64(count) / time.Since(began).Seconds()}, err
}

// session is a record like any other.
func session(n int) *jackfield.Record {
	return &jackfield.Record{
		Request: jackfield.Request{
			ID: fmt.Sprintf("bench-%d", n), Time: time.Now(), Listener: "mux", Protocol: "tcpmux",
			Source:   netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(n)),
			Local:    netip.MustParseAddrPort("127.0.0.1:1078"),
			Identity: jackfield.Identity{User: "ada", Groups: []string{"lab"}, Proof: jackfield.ProofToken},
			Route:    "dial 127.0.0.1:80", Destinations: []string{"127.0.0.1:80"},
		},
		By: []string{"listener mux: rule 1"},
	}
}

func unsent(store.Journal) (audit.Sink, func(context.Context) error) { return nil, nil }

func grouped(j store.Journal) (audit.Sink, func(context.Context) error) {
	w := journal.NewWriter(j, journal.Options{Server: "bench", Log: slog.New(slog.DiscardHandler)})
	return w, w.Close
}

// A single writes each line by itself, and has the session wait for it.
type single struct {
	journal store.Journal
	err     error
}

func oneByOne(j store.Journal) (audit.Sink, func(context.Context) error) {
	s := &single{journal: j}
	return s, func(context.Context) error { return s.err }
}

// Add writes the line into the journal.
func (s *single) Add(line []byte) {
	if s.err == nil {
		_, s.err = s.journal.Append(context.Background(), slices.Clone(line))
	}
}
