//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"jackfield/bench/compare"
	"jackfield/bench/peer"
)

// storeSize is how much of everything the store scenario does.
type storeSize struct {
	rounds  int
	keys    map[string]bool // what was selected
	sample  time.Duration   // one sample of what takes time
	writers int             // at the same time, for rates; readers as well
	value   int             // bytes of an entry
	login   loginSize
}

var (
	fullStore  = storeSize{sample: 80 * time.Millisecond, writers: 16, value: 256, login: fullLogin}
	quickStore = storeSize{rounds: 2, sample: 20 * time.Millisecond, writers: 4, value: 256, login: quickLogin}
)

// What --only can name.
const (
	writeKey    = "write"
	readKey     = "read"
	watchKey    = "watch"
	auditKey    = "audit"
	passwordKey = "password"
	attackKey   = "attack"
)

func storeKeys() []string {
	return []string{writeKey, readKey, watchKey, auditKey, passwordKey, attackKey}
}

func storeCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "store",
		Short: "The store beside nats-server: writes, reads, watches, the audit; and logins while wrong passwords are thrown at the server",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.store(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	o.register(cmd, storeKeys())
	return cmd
}

func (o options) store(ctx context.Context, out, progress io.Writer) error {
	size := fullStore
	size.rounds = o.rounds
	if o.quick {
		size = quickStore
	}
	if err := o.check(); err != nil {
		return err
	}
	var err error
	if size.keys, err = selectKeys(o.only, storeKeys()); err != nil {
		return err
	}
	return o.conduct(ctx, scenario{name: "store", users: onlySelf, lineUp: o.server, run: size.run}, out, progress)
}

// server returns the one program of this scenario. The stores are within the benchmark itself, as they are within Jackfield.
func (o options) server(ctx context.Context, dir string) ([]peer.Peer, error) {
	ours, err := newJackfieldAPI(filepath.Join(dir, "jackfield"))
	if err != nil {
		return nil, err
	}
	return []peer.Peer{ours}, provide(ctx, ours.Binary, o.binary)
}

// run goes through the selected parts; each has stopped what it started when the next begins.
func (s storeSize) run(ctx context.Context, stage peer.Stage, peers []peer.Peer, tick ticker) ([]run, error) {
	var runs []run
	if s.selected(writeKey, readKey, watchKey, auditKey) {
		for _, part := range []func(context.Context, string, ticker) ([]run, error){s.embedded, s.cluster} {
			done, err := part(ctx, stage.Dir, tick)
			if err != nil {
				return nil, err
			}
			runs = append(runs, done...)
		}
	}
	if !s.selected(passwordKey, attackKey) {
		return runs, nil
	}
	done, err := s.logins(ctx, stage, peers[0], tick)
	return slices.Concat(runs, done), err
}

// selected says whether one of the keys was asked for.
func (s storeSize) selected(keys ...string) bool {
	return slices.ContainsFunc(keys, func(key string) bool { return s.keys[key] })
}

// embedded compares the stores that are within one process.
func (s storeSize) embedded(ctx context.Context, dir string, tick ticker) (runs []run, err error) {
	var open opened
	defer func() { err = errors.Join(err, open.close()) }()
	raw, err := open.rawEmbedded(ctx, dir)
	if err != nil {
		return nil, err
	}
	again, err := open.rawEmbedded(ctx, dir)
	if err != nil {
		return nil, err
	}
	ours, err := open.embedded(ctx, dir)
	if err != nil {
		return nil, err
	}
	keepers := []compare.Contestant[keeper]{
		{Name: "nats-server", Subject: raw},
		{Name: "nats-server" + twin, Subject: again},
		{Name: "jackfield, embedded", Subject: newStoreKeeper(ours)},
		{Name: "jackfield, memory", Subject: newStoreKeeper(open.memory())},
	}
	entries, err := sampleAll(ctx, s, "Entries, embedded", keepers, s.entryMeasures(), tick)
	if err != nil {
		return nil, err
	}
	for k := range entries {
		entries[k].Note = fmt.Sprintf("nats-server %s within the process, SyncAlways; nats.go %s, plain Put, Get and Watch.%s",
			server.VERSION, nats.Version, withoutDisk(dir))
	}
	records, err := s.records(ctx, "An audit record, embedded store", ours, dir, tick)
	return slices.Concat(entries, records), err
}

// cluster compares the store in a cluster of three with the same cluster as it is.
func (s storeSize) cluster(ctx context.Context, dir string, tick ticker) (runs []run, err error) {
	var open opened
	defer func() { err = errors.Join(err, open.close()) }()
	c, err := open.startCluster(ctx, dir)
	if err != nil {
		return nil, err
	}
	raw, err := open.rawCluster(ctx, c, "raw")
	if err != nil {
		return nil, err
	}
	again, err := open.rawCluster(ctx, c, "again")
	if err != nil {
		return nil, err
	}
	ours, err := open.cluster(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := c.gatherLeaders(ctx); err != nil {
		return nil, err
	}
	keepers := []compare.Contestant[keeper]{
		{Name: "cluster", Subject: raw},
		{Name: "cluster" + twin, Subject: again},
		{Name: "jackfield, cluster", Subject: newStoreKeeper(ours)},
	}
	entries, err := sampleAll(ctx, s, "Entries, cluster of three", keepers, s.entryMeasures(), tick)
	if err != nil {
		return nil, err
	}
	for k := range entries {
		entries[k].Note = fmt.Sprintf("Three nats-servers %s on 127.0.0.1, three replicas, synced at their default interval.\n"+
			"The node that the clients are connected to leads every stream.", server.VERSION)
	}
	records, err := s.records(ctx, "An audit record, cluster of three", ours, dir, tick)
	return slices.Concat(entries, records), err
}

// sampleAll does a part of the scenario: one run, or none if nothing of it was selected.
func sampleAll[C any](ctx context.Context, s storeSize, title string, contestants []compare.Contestant[C],
	measures []compare.Measure[C], tick ticker) ([]run, error) {
	if len(measures) == 0 {
		return nil, nil
	}
	result, err := compare.Run(ctx, compare.Plan[C]{
		Rounds:      s.rounds,
		Contestants: contestants,
		Measures:    measures,
		Progress:    func(text string) { tick.show(title + ", " + text) },
	})
	if err != nil {
		return nil, err
	}
	return []run{{Title: title, Result: result}}, nil
}
