package jetstream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"jackfield/internal/store"
)

// A crowd writes to a store, and knows what was acknowledged.
type crowd struct {
	s *Store

	mu        sync.Mutex
	created   []string
	increased int // surely
	inDoubt   int // increments whose outcome is not known
}

func (c *crowd) acknowledged() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.created) + c.increased
}

func (c *crowd) write(ctx context.Context, t *testing.T, writer int) {
	for n := 0; ctx.Err() == nil; n++ {
		key := fmt.Sprintf("key.w%d-%d", writer, n)
		_, created := c.s.Create(ctx, key, []byte(key))
		e, increased := c.s.Get(ctx, "count.all")
		if increased == nil {
			before, _ := strconv.Atoi(string(e.Value))
			_, increased = c.s.Update(ctx, "count.all", strconv.AppendInt(nil, int64(before+1), 10), e.Revision)
		}
		c.mu.Lock()
		switch {
		case created == nil:
			c.created = append(c.created, key)
		case !isOutage(created):
			t.Errorf("create: %v", created)
		}
		switch {
		case increased == nil:
			c.increased++
		case isOutage(increased):
			c.inDoubt++
		case !errors.Is(increased, store.ErrConflict):
			t.Errorf("update: %v", increased)
		}
		c.mu.Unlock()
	}
}

func isOutage(err error) bool {
	return errors.Is(err, store.ErrUnavailable) || errors.Is(err, context.Canceled)
}

// A mirror knows the entries from watches: a new one when one has lost its place.
type mirror struct {
	mu      sync.Mutex
	entries map[string]uint64
	watches int
}

func (m *mirror) follow(ctx context.Context, t *testing.T, s *Store) {
	for ctx.Err() == nil {
		w, err := s.Watch(ctx, "")
		if err != nil {
			if !isOutage(err) {
				t.Errorf("watch: %v", err)
			}
			continue
		}
		m.mu.Lock()
		m.entries = make(map[string]uint64)
		m.watches++
		m.mu.Unlock()
		for {
			c, err := w.Next()
			if err != nil {
				if !isOutage(err) {
					t.Errorf("watch: %v", err)
				}
				break
			}
			m.take(t, c)
		}
		w.Close()
	}
}

func (m *mirror) take(t *testing.T, c store.Change) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case c.Synced:
	case c.Revision <= m.entries[c.Key]:
		t.Errorf("%s went from revision %d to %d", c.Key, m.entries[c.Key], c.Revision)
	default:
		m.entries[c.Key] = c.Revision
	}
}

func (m *mirror) equals(entries []store.Entry) bool {
	want := make(map[string]uint64)
	for _, e := range entries {
		want[e.Key] = e.Revision
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Equal(m.entries, want)
}

// testNodeKilled ends the node that leads the stream while many write.
func testNodeKilled(t *testing.T, c *cluster) {
	s := c.open(t)
	if _, err := s.Create(t.Context(), "count.all", []byte("0")); err != nil {
		t.Fatal(err)
	}
	lease, err := s.Hold(t.Context(), "edge", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	all, seen := &crowd{s: s}, &mirror{}
	var writers, watching sync.WaitGroup
	for i := range 4 {
		writers.Go(func() { all.write(ctx, t, i) })
	}
	watched, endWatch := context.WithCancel(t.Context())
	watching.Go(func() { seen.follow(watched, t, s) })
	defer watching.Wait()
	defer endWatch()

	eventually(t, "the first writes", func() bool { return all.acknowledged() > 50 })
	leader := leaderOf(t, s)
	c.stop(leader)
	before := all.acknowledged()
	eventually(t, "writes with two nodes", func() bool { return all.acknowledged() > before+100 })
	c.start(leader)
	before = all.acknowledged()
	eventually(t, "writes with three nodes", func() bool { return all.acknowledged() > before+100 })
	cancel()
	writers.Wait()

	entries := list(t, s)
	there := make(map[string]string)
	for _, e := range entries {
		there[e.Key] = string(e.Value)
	}
	for _, key := range all.created {
		if there[key] != key {
			t.Errorf("%s was acknowledged and has %q", key, there[key])
		}
	}
	if n, err := strconv.Atoi(there["count.all"]); err != nil || n < all.increased || n > all.increased+all.inDoubt {
		t.Errorf("they counted to %d; %d were acknowledged and %d are in doubt (%v)", n, all.increased, all.inDoubt, err)
	}
	eventually(t, "the watch knows all", func() bool { return seen.equals(list(t, s)) })
	if !lease.Valid() {
		t.Error("the lease is lost")
	}
	t.Logf("%d entries, %d increments and %d in doubt, %d watches", len(all.created), all.increased, all.inDoubt, seen.watches)
}

func leaderOf(t *testing.T, s *Store) (node int) {
	t.Helper()
	info, err := s.entries.info(t.Context(), "none.")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(info.Cluster.Leader, "node-%d", &node); err != nil {
		t.Fatalf("the leader is %q", info.Cluster.Leader)
	}
	return node
}

// list asks until there is an answer.
func list(t *testing.T, s *Store) (entries []store.Entry) {
	t.Helper()
	eventually(t, "a list", func() bool {
		var err error
		entries, err = s.List(t.Context(), "")
		return err == nil
	})
	return entries
}

// testAway takes the whole cluster away: for 2 s beyond what a lease lives, or 30 s with $JACKFIELD_SOAK.
func testAway(t *testing.T, c *cluster) {
	const ttl = 3 * time.Second
	s := c.open(t)
	revision, err := s.Create(t.Context(), "user.ada", nil)
	if err != nil {
		t.Fatal(err)
	}
	j, err := s.Journal(t.Context(), "audit", store.Retention{})
	if err != nil {
		t.Fatal(err)
	}
	w, err := s.Watch(t.Context(), "user.")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for range 2 {
		if c, err := w.Next(); err != nil || c.Revision != revision && !c.Synced {
			t.Fatalf("%+v (%v)", c, err)
		}
	}
	lease, err := s.Hold(t.Context(), "edge", ttl)
	if err != nil {
		t.Fatal(err)
	}

	for i := range c.nodes {
		c.stop(i)
	}
	gone := time.Now()
	checkUnavailable(t, s, j)
	select {
	case <-lease.Lost(): // when exactly is tested with a clock that can be set
	case <-time.After(time.Minute):
		t.Error("the lease is not lost")
	}
	if lease.Valid() {
		t.Error("the lease is valid")
	}
	away := ttl + 2*time.Second
	if os.Getenv("JACKFIELD_SOAK") != "" {
		away = 30 * time.Second
	}
	time.Sleep(time.Until(gone.Add(away)))
	for i := range c.nodes {
		c.start(i)
	}

	eventually(t, "the store works again", func() bool {
		_, err := s.Update(t.Context(), "user.ada", []byte("again"), revision)
		e, _ := s.Get(t.Context(), "user.ada")
		return err == nil || string(e.Value) == "again"
	})
	eventually(t, "it has what was written", func() bool {
		e, err := s.Get(t.Context(), "user.ada")
		if err == nil && string(e.Value) != "again" {
			t.Fatalf("%+v", e)
		}
		return err == nil
	})
	if c, err := w.Next(); !errors.Is(err, store.ErrUnavailable) && (err != nil || string(c.Value) != "again") {
		t.Errorf("the watch told %+v (%v)", c, err)
	}
	eventually(t, "the journal works again", func() bool {
		_, err := j.Append(t.Context(), []byte("again"))
		return err == nil
	})
	eventually(t, "the lease can be had again", func() bool {
		_, err := s.Hold(t.Context(), "edge", ttl)
		return err == nil
	})
	if lease.Valid() {
		t.Error("the lost lease is valid again")
	}
}

// checkUnavailable wants an error of every call, soon.
func checkUnavailable(t *testing.T, s *Store, j store.Journal) {
	t.Helper()
	var wg sync.WaitGroup
	for name, call := range map[string]func(ctx context.Context) error{
		"get":    func(ctx context.Context) error { _, err := s.Get(ctx, "user.ada"); return err },
		"list":   func(ctx context.Context) error { _, err := s.List(ctx, ""); return err },
		"create": func(ctx context.Context) error { _, err := s.Create(ctx, "user.bob", nil); return err },
		"update": func(ctx context.Context) error { _, err := s.Update(ctx, "user.ada", nil, 1); return err },
		"delete": func(ctx context.Context) error { return s.Delete(ctx, "user.ada", 1) },
		"watch":  func(ctx context.Context) error { _, err := s.Watch(ctx, ""); return err },
		"hold":   func(ctx context.Context) error { _, err := s.Hold(ctx, "west", time.Second); return err },
		"append": func(ctx context.Context) error { _, err := j.Append(ctx, nil); return err },
		"read":   func(ctx context.Context) error { _, err := j.Read(ctx, 0, 1); return err },
	} {
		wg.Go(func() {
			fails(t, name, time.Hour, withCluster.call+withCluster.attempt, call)
			fails(t, name, 100*time.Millisecond, withCluster.call/2, call)
		})
	}
	wg.Wait()
}

// fails wants an error of a call that is given so long, soon. A machine that is busy with other things gets more than one chance.
func fails(t *testing.T, name string, given, soon time.Duration, call func(context.Context) error) {
	took := time.Hour
	for range 4 {
		ctx, cancel := context.WithTimeout(t.Context(), given)
		start := time.Now()
		err := call(ctx)
		took = min(took, time.Since(start))
		cancel()
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s within %s: %v", name, given, err)
		}
		if took <= soon {
			return
		}
	}
	t.Errorf("%s took %s of %s at best", name, took, given)
}

func eventually(t *testing.T, what string, met func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !met(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
