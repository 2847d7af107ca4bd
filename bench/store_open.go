//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sys/unix"

	"jackfield/bench/process"
	"jackfield/internal/store"
	ours "jackfield/internal/store/jetstream"
	"jackfield/internal/store/memory"
)

// history is how many values of a key Jackfield's store keeps, and so does the bucket beside it.
const history = 16

// startWithin is how long servers may take to start, and a cluster to agree.
const startWithin = 30 * time.Second

// opened is what has to be closed, in the opposite order.
type opened struct{ closers []func() error }

func (o *opened) later(closer func() error) { o.closers = append(o.closers, closer) }

func (o *opened) close() error {
	var errs []error
	for _, closer := range slices.Backward(o.closers) {
		errs = append(errs, closer())
	}
	return errors.Join(errs...)
}

func (o *opened) memory() store.Store {
	s := memory.New()
	o.later(s.Close)
	return s
}

// embedded opens Jackfield's own store in a directory.
func (o *opened) embedded(ctx context.Context, dir string) (store.Store, error) {
	own, err := os.MkdirTemp(dir, "store-")
	if err != nil {
		return nil, err
	}
	return o.open(ctx, ours.Options{Dir: own})
}

// cluster opens Jackfield's store in a cluster.
func (o *opened) cluster(ctx context.Context, c cluster) (store.Store, error) {
	return o.open(ctx, ours.Options{URL: c.url()})
}

func (o *opened) open(ctx context.Context, options ours.Options) (store.Store, error) {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	s, err := ours.Open(ctx, options)
	if err != nil {
		return nil, err
	}
	o.later(s.Close)
	return s, nil
}

// rawEmbedded starts nats-server within the process, with the settings that Jackfield gives it.
func (o *opened) rawEmbedded(ctx context.Context, dir string) (keeper, error) {
	own, err := os.MkdirTemp(dir, "nats-")
	if err != nil {
		return nil, err
	}
	s, err := o.start(&server.Options{ServerName: "raw", DontListen: true, JetStream: true, StoreDir: own, SyncAlways: true})
	if err != nil {
		return nil, err
	}
	return o.bucket(ctx, 1, "raw", "", nats.InProcessServer(s))
}

// rawCluster makes a bucket in a cluster.
func (o *opened) rawCluster(ctx context.Context, c cluster, name string) (keeper, error) {
	return o.bucket(ctx, len(c), name, c.url())
}

func (o *opened) start(options *server.Options) (*server.Server, error) {
	options.NoSigs, options.NoLog, options.DisableJetStreamBanner = true, true, true
	s, err := server.NewServer(options)
	if err != nil {
		return nil, err
	}
	s.Start()
	o.later(func() error {
		s.Shutdown()
		s.WaitForShutdown()
		return nil
	})
	if !s.ReadyForConnections(startWithin) {
		return nil, fmt.Errorf("nats-server %s does not start", options.ServerName)
	}
	return s, nil
}

// bucket makes a bucket like the stream that Jackfield keeps its entries in.
func (o *opened) bucket(ctx context.Context, replicas int, name, address string, options ...nats.Option) (keeper, error) {
	conn, err := nats.Connect(address, options...)
	if err != nil {
		return nil, err
	}
	o.later(func() error { conn.Close(); return nil })
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, err
	}
	var kv jetstream.KeyValue
	err = eventually(ctx, func(ctx context.Context) (err error) {
		kv, err = js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
			Bucket: name, History: history, Storage: jetstream.FileStorage, Replicas: replicas,
		})
		return err
	})
	return bucketKeeper{kv}, err
}

// eventually tries until it works, or startWithin has passed.
func eventually(ctx context.Context, try func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	for {
		attempt, done := context.WithTimeout(ctx, 2*time.Second)
		err := try(attempt)
		done()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// A cluster is nats-servers within this process, which talk to each other through 127.0.0.1.
type cluster []*server.Server

func (o *opened) startCluster(ctx context.Context, dir string) (cluster, error) {
	const nodes = 3
	var options []*server.Options
	var routes []*url.URL
	for n := range nodes {
		own, err := os.MkdirTemp(dir, "node-")
		if err != nil {
			return nil, err
		}
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		routes = append(routes, &url.URL{Scheme: "nats", Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))})
		options = append(options, &server.Options{
			ServerName: fmt.Sprint("node-", n), Host: "127.0.0.1", Port: server.RANDOM_PORT,
			Cluster:   server.ClusterOpts{Name: "bench", Host: "127.0.0.1", Port: port},
			JetStream: true, StoreDir: own,
		})
	}
	var c cluster
	for _, one := range options {
		one.Routes = routes
		s, err := o.start(one)
		if err != nil {
			return nil, err
		}
		c = append(c, s)
	}
	return c, nil
}

func freePort() (int, error) {
	address, err := process.FreeAddress()
	if err != nil {
		return 0, err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(port)
}

// url is that of the first node. Clients that are given all of them would take any.
func (c cluster) url() string { return c[0].ClientURL() }

// gatherLeaders makes the first node the leader of every stream, so that nobody's requests have a longer way.
func (c cluster) gatherLeaders(ctx context.Context) error {
	conn, err := nats.Connect(c.url())
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	var names []string
	list := js.StreamNames(ctx)
	for name := range list.Name() {
		names = append(names, name)
	}
	if err := list.Err(); err != nil {
		return err
	}
	for _, name := range names {
		if err := eventually(ctx, func(ctx context.Context) error { return c.lead(ctx, conn, name) }); err != nil {
			return fmt.Errorf("the leader of stream %s: %w", name, err)
		}
	}
	return nil
}

// lead asks for the first node to lead the stream, and fails until it does.
func (c cluster) lead(ctx context.Context, conn *nats.Conn, stream string) error {
	first := c[0]
	if first.JetStreamIsStreamLeader(server.DEFAULT_GLOBAL_ACCOUNT, stream) {
		return nil
	}
	request, err := json.Marshal(server.JSApiLeaderStepdownRequest{Placement: &server.Placement{Preferred: first.Name()}})
	if err != nil {
		return err
	}
	answer, err := conn.RequestWithContext(ctx, fmt.Sprintf(server.JSApiStreamLeaderStepDownT, stream), request)
	if err != nil {
		return err
	}
	return fmt.Errorf("%s does not lead yet: %s", first.Name(), answer.Data)
}

// withoutDisk is what a reader must know about a directory that is on no disk.
func withoutDisk(dir string) string {
	var info unix.Statfs_t
	if err := unix.Statfs(dir, &info); err != nil || info.Type != unix.TMPFS_MAGIC {
		return ""
	}
	return fmt.Sprintf("\n**%s is in memory, so that syncing costs nothing: set TMPDIR to a directory on a disk.**", dir)
}
