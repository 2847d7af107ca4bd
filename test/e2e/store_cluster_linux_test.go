package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	nats "github.com/nats-io/nats-server/v2/server"

	domain "jackfield"
	"jackfield/internal/api"
	"jackfield/test/live"
)

// TestStoreCluster has two servers share a cluster of three nats-servers: what one is told, the other knows. While the
// cluster is away, who is known stays known, what runs goes on, changes fail soon, and the audit goes on in the files; when
// it is back all works, and the store has every record once.
func TestStoreCluster(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	config := siteConfig + "store {\n  url = \"" + c.url() + "\"\n}\n"
	west := startSite(t, config)
	eastDir := t.TempDir()
	copyAuthority(t, eastDir, west.dir)
	writeConfig(t, eastDir, config)
	east := serveSite(t, eastDir)
	b := west.bystander(t)

	const password = "correct horse battery staple"
	west.addUser(t, api.NewUser{Name: "ada", Password: password})
	expectUser(t, east, "ada")
	var grant api.Grant
	stored(t, func() (err error) {
		grant, err = east.bearer(t, "").Login(t.Context(), api.Login{User: "ada", Password: password})
		return err
	})
	if !eventually(func() bool { _, err := west.bearer(t, grant.Secret).Me(t.Context()); return err == nil }) {
		t.Error("a token of one server is not known to the other")
	}
	expectRevoked(t, west, east)
	expectOtherAuthorityRefused(t, config)

	c.stop()
	sites := map[string]*site{"west": west, "east": east}
	b.during(t, func() {
		refusedSoon(t, sites)
		for name, s := range sites {
			if me, err := s.bearer(t, grant.Secret).Me(t.Context()); err != nil || me.User != "ada" {
				t.Errorf("%s: without the store, a token: %+v, %v", name, me, err)
			}
			if got := ask(t, s.Server); got != "+\r\n" {
				t.Errorf("%s: without the store, a new session gets %q", name, got)
			}
		}
	})
	b.goesOn(t)
	c.start(t)

	if !eventually(func() bool {
		_, err := east.admin(t).AddUser(t.Context(), api.NewUser{Name: "eve"})
		return err == nil || strings.Contains(err.Error(), "there already")
	}) {
		t.Fatal("with the store again, no user can be added")
	}
	expectUser(t, west, "eve")
	stored(t, func() error {
		_, err := west.bearer(t, "").Login(t.Context(), api.Login{User: "ada", Password: password})
		return err
	})
	b.goesOn(t)
	east.hasOnce(t, west)
	west.hasOnce(t, east)
	for name, s := range sites {
		for _, says := range []string{
			"audit cannot be written into the store: it is in the file, and waits", "audit can be written into the store again",
		} {
			if !eventually(func() bool { return len(live.Select(s.Output(), live.Equal("msg", says))) > 0 }) {
				t.Errorf("%s does not log: %s", name, says)
			}
		}
	}
}

// refusedSoon wants changes to fail in bounded time, in words that say why.
func refusedSoon(t *testing.T, sites map[string]*site) {
	t.Helper()
	changes := map[string]func(context.Context, *api.Client) error{
		"add a user": func(ctx context.Context, admin *api.Client) error {
			_, err := admin.AddUser(ctx, api.NewUser{Name: "late"})
			return err
		},
		"add a token": func(ctx context.Context, admin *api.Client) error {
			_, err := admin.AddToken(ctx, api.NewToken{User: "ada"})
			return err
		},
		"remove a user": func(ctx context.Context, admin *api.Client) error { return admin.RemoveUser(ctx, "ada", "") },
	}
	var all sync.WaitGroup
	for name, s := range sites {
		admin := s.admin(t)
		for what, change := range changes {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), live.Patience)
				defer cancel()
				if err := change(ctx, admin); !isKind(err, domain.Unavailable) || !strings.Contains(err.Error(), "store") {
					t.Errorf("%s: without the store, to %s: %v", name, what, err)
				}
			})
		}
	}
	all.Wait()
}

func expectUser(t *testing.T, s *site, name string) {
	t.Helper()
	admin := s.admin(t)
	if !eventually(func() bool { _, _, err := admin.User(t.Context(), name); return err == nil }) {
		t.Errorf("the user %s of the other server is not known", name)
	}
}

// expectRevoked revokes tokens at one server, and measures how soon the event streams of their bearers end at the other: one
// of ten within a second, because the machine may have other things to do.
func expectRevoked(t *testing.T, at, elsewhere *site) {
	t.Helper()
	var took []time.Duration
	for range 10 {
		grant := at.grant(t, api.NewToken{User: "ada"})
		caller := elsewhere.caller(t, "h2", grant.Secret)
		if !eventually(func() bool { return !caller.isRefused(t) }) {
			t.Fatal("the token is not known elsewhere")
		}
		follower := caller.follow(t, "ada", "")
		stored(t, func() error { return at.admin(t).RemoveToken(t.Context(), grant.ID) })
		revoked := time.Now()
		follower.awaitEnd(t)
		took = append(took, time.Since(revoked))
		if !caller.isRefused(t) {
			t.Error("the token is good after its stream has ended")
		}
		if took[len(took)-1] < time.Second {
			return
		}
	}
	t.Errorf("event streams end after %v", took)
}

// expectOtherAuthorityRefused starts a server of another authority, which says what to do.
func expectOtherAuthorityRefused(t *testing.T, config string) {
	t.Helper()
	dir := t.TempDir()
	writeConfig(t, dir, config)
	said := run(t, dir, 1, "serve", "--config", "jackfield.hcl")
	if !strings.Contains(said, "certificate authority is not the one of the other servers") ||
		!strings.Contains(said, "data/ca/ca.pem") {
		t.Errorf("a server with another authority says: %s", said)
	}
}

func copyAuthority(t *testing.T, to, from string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(to, "data/ca"), 0o700); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(from, "data/ca/ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(to, "data/ca/ca.pem"), string(text))
}

// hasOnce wants every record that stands in a server's file in the store, once.
func (s *site) hasOnce(t *testing.T, writer *site) {
	t.Helper()
	lines := auditLines(t, writer.dir, hasID)
	var wrong error
	if !eventually(func() bool {
		counts := make(map[string]int)
		for _, record := range s.records(t, hasID) {
			counts[recordOf(record)]++
		}
		wrong = nil
		for _, line := range lines {
			if n := counts[recordOf(line)]; n != 1 {
				wrong = errors.Join(wrong, fmt.Errorf("%d times in the store: %v", n, line))
			}
		}
		return wrong == nil
	}) {
		t.Error(wrong)
	}
}

// hasID holds for records of sessions and calls, which happen once.
func hasID(l live.Line) bool { return l["id"] != nil }

func recordOf(l live.Line) string { return fmt.Sprint(l["id"], " ", l["event"], " ", l["time"]) }

// A cluster is three nats-servers in this process, on ports and with files that they keep.
type cluster struct {
	options [3]*nats.Options
	nodes   []*nats.Server // that run
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	c := new(cluster)
	var routes []*url.URL
	var ports, clusterPorts [len(c.options)]int // which nobody else is given while the nodes are away
	for i := range c.options {
		ports[i], clusterPorts[i] = freePortNumber(t), freePortNumber(t)
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", clusterPorts[i])})
	}
	for i := range c.options {
		c.options[i] = &nats.Options{
			ServerName: fmt.Sprint("node-", i),
			Host:       "127.0.0.1", Port: ports[i],
			Cluster:   nats.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: clusterPorts[i], PoolSize: -1},
			Routes:    routes,
			JetStream: true, StoreDir: t.TempDir(),
			NoSigs: true, NoLog: true, DisableJetStreamBanner: true,
		}
	}
	t.Cleanup(c.stop)
	c.start(t)
	if !eventually(c.ready) {
		t.Fatal("the cluster has no leader")
	}
	return c
}

func (c *cluster) start(t *testing.T) {
	t.Helper()
	for _, o := range c.options {
		options := *o
		node, err := nats.NewServer(&options)
		if err != nil {
			t.Fatal(err)
		}
		node.Start()
		c.nodes = append(c.nodes, node)
	}
}

// ready says whether one leads and knows the others.
func (c *cluster) ready() bool {
	for _, node := range c.nodes {
		if node.JetStreamIsLeader() {
			return len(node.JetStreamClusterPeers()) == len(c.nodes)
		}
	}
	return false
}

func (c *cluster) stop() {
	for _, node := range c.nodes {
		node.Shutdown()
		node.WaitForShutdown()
	}
	c.nodes = nil
}

func (c *cluster) url() string {
	var urls []string
	for _, o := range c.options {
		urls = append(urls, fmt.Sprintf("nats://127.0.0.1:%d", o.Port))
	}
	return strings.Join(urls, ",")
}

func freePortNumber(t *testing.T) int {
	t.Helper()
	port, err := strconv.Atoi(freePort(t))
	if err != nil {
		t.Fatal(err)
	}
	return port
}
