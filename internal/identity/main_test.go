package identity

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"jackfield"
	"jackfield/internal/logtest"
	"jackfield/internal/store"
	"jackfield/internal/store/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cheap are costs that let a test hash thousands of passwords.
var cheap = costs{memory: 8, passes: 1, threads: 1}

const password = "correct horse"

var source = netip.MustParseAddr("192.0.2.7")

// open opens a directory whose passwords cost little.
func open(t testing.TB, s store.Store, o Options) *Directory {
	t.Helper()
	d, err := Open(t.Context(), s, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	d.costs, d.nobody.costs = cheap, cheap
	return d
}

func newStore(t testing.TB) *memory.Store {
	s := memory.New()
	t.Cleanup(func() { s.Close() })
	return s
}

// withUsers is a directory with the admin root and others, all of whom have the password.
func withUsers(t testing.TB, names ...string) *Directory {
	t.Helper()
	d := open(t, newStore(t), Options{})
	addUser(t, d, NewUser{Name: "root", Admin: true})
	for _, name := range names {
		addUser(t, d, NewUser{Name: name})
	}
	return d
}

func addUser(t testing.TB, d *Directory, n NewUser) User {
	t.Helper()
	u, err := d.AddUser(t.Context(), n, password)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func addToken(t testing.TB, d *Directory, n NewToken) (string, Token) {
	t.Helper()
	secret, token, err := d.AddToken(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return secret, token
}

func authenticate(t testing.TB, d *Directory, secret string) *Caller {
	t.Helper()
	c, err := d.Authenticate(secret)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func wantKind(t testing.TB, err error, kind jackfield.Kind) {
	t.Helper()
	var refusal *jackfield.Error
	if !errors.As(err, &refusal) || refusal.Kind != kind {
		t.Fatalf("got %v (%T), want one of kind %s", err, err, kind)
	}
	if refusal.Message == "" {
		t.Fatal("the refusal has no sentence")
	}
}

// await waits until the directory meets a condition.
func await(t testing.TB, d *Directory, condition func() bool) {
	t.Helper()
	if err := d.await(t.Context(), condition); err != nil {
		t.Fatal(err)
	}
}

// journal is a log that can be searched.
type journal struct{ logtest.Buffer }

func (j *journal) log() *slog.Logger {
	return slog.New(slog.NewTextHandler(j, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// cuttable is a way to a store that can be cut, for one of several directories on it.
type cuttable struct {
	store.Store

	mu     sync.Mutex
	isCut  bool
	isDeaf bool // only watches are cut
	writes int  // how many more succeed; negative: all
	cut    func()
	ctx    context.Context
}

var _ store.Store = (*cuttable)(nil)

func newCuttable(s store.Store) *cuttable {
	c := &cuttable{Store: s, writes: -1}
	c.ctx, c.cut = context.WithCancel(context.Background())
	return c
}

func (c *cuttable) set(isCut bool) { c.change(func() { c.isCut = isCut }) }

func (c *cuttable) deafen(isDeaf bool) { c.change(func() { c.isDeaf = isDeaf }) }

func (c *cuttable) change(what func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	what()
	c.cut()
	c.ctx, c.cut = context.WithCancel(context.Background())
}

// allow lets n more writes succeed.
func (c *cuttable) allow(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes = n
}

func (c *cuttable) reach(write bool) (context.Context, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isCut || write && c.writes == 0 {
		return nil, store.ErrUnavailable
	}
	if write && c.writes > 0 {
		c.writes--
	}
	return c.ctx, nil
}

func (c *cuttable) Get(ctx context.Context, key string) (store.Entry, error) {
	if _, err := c.reach(false); err != nil {
		return store.Entry{}, err
	}
	return c.Store.Get(ctx, key)
}

func (c *cuttable) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	if _, err := c.reach(true); err != nil {
		return 0, err
	}
	return c.Store.Create(ctx, key, value)
}

func (c *cuttable) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if _, err := c.reach(true); err != nil {
		return 0, err
	}
	return c.Store.Update(ctx, key, value, revision)
}

func (c *cuttable) Delete(ctx context.Context, key string, revision uint64) error {
	if _, err := c.reach(true); err != nil {
		return err
	}
	return c.Store.Delete(ctx, key, revision)
}

func (c *cuttable) Watch(ctx context.Context, prefix string) (store.Watcher, error) {
	whole, err := c.reach(false)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	context.AfterFunc(whole, func() { cancel(store.ErrUnavailable) })
	if c.deaf() {
		cancel(store.ErrUnavailable)
	}
	return c.Store.Watch(ctx, prefix)
}

func (c *cuttable) deaf() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.isDeaf
}
