package jetstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"jackfield/internal/store"
	"jackfield/internal/store/storetest"
)

// A cluster is three nats-servers in this process, on ports that they keep.
type cluster struct {
	t       *testing.T
	host    string
	options [3]*server.Options
	nodes   [3]*server.Server // nil: it is down
	stores  atomic.Int64
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t, host: ownAddress()}
	ports := freePorts(t, c.host, 2*len(c.options))
	var routes []*url.URL
	for i := range c.options {
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("%s:%d", c.host, ports[2*i])})
	}
	for i := range c.options {
		c.options[i] = &server.Options{
			ServerName: fmt.Sprint("node-", i),
			Host:       c.host, Port: ports[2*i+1],
			Cluster:   server.ClusterOpts{Name: "test", Host: c.host, Port: ports[2*i], PoolSize: -1},
			Routes:    routes,
			JetStream: true, StoreDir: t.TempDir(),
			NoSigs: true, NoLog: true, DisableJetStreamBanner: true,
		}
		c.start(i)
	}
	t.Cleanup(func() {
		for i := range c.nodes {
			c.stop(i)
		}
	})
	return c
}

// ownAddress is one of the loopback that no other process takes a port of while a node is down, and no client gets for its own end.
// Only Linux has more than one.
func ownAddress() string {
	if runtime.GOOS != "linux" {
		return "127.0.0.1"
	}
	pid := os.Getpid()
	return netip.AddrFrom4([4]byte{127, 1 + byte(pid>>16)%254, byte(pid >> 8), byte(pid)}).String()
}

func freePorts(t *testing.T, host string, n int) (ports []int) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

func (c *cluster) start(i int) {
	c.t.Helper()
	options := *c.options[i]
	node, err := server.NewServer(&options)
	if err != nil {
		c.t.Fatal(err)
	}
	node.Start()
	c.nodes[i] = node
}

func (c *cluster) stop(i int) {
	if node := c.nodes[i]; node != nil {
		node.Shutdown()
		node.WaitForShutdown()
		c.nodes[i] = nil
	}
}

func (c *cluster) url() string {
	var urls []string
	for _, o := range c.options {
		urls = append(urls, fmt.Sprintf("nats://%s:%d", c.host, o.Port))
	}
	return strings.Join(urls, ",")
}

// open opens an empty store, whose streams go at the end of the test.
func (c *cluster) open(t *testing.T) *Store {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	o := Options{URL: c.url(), Bucket: fmt.Sprint("test-", c.stores.Add(1))}
	var s *Store
	for s == nil {
		var err error
		if s, err = Open(ctx, o); err != nil && (!errors.Is(err, store.ErrUnavailable) || ctx.Err() != nil) {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestCluster(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	t.Run("conformance", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) store.Store {
			s := c.open(t)
			s.patience = withDisk // three nodes of one machine share its disk
			return s
		})
	})
	t.Run("a node is killed", func(t *testing.T) { testNodeKilled(t, c) })
	t.Run("it is away", func(t *testing.T) { testAway(t, c) })
}
