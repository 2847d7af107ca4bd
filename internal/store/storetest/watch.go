package storetest

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"

	"jackfield/internal/store"
)

// A watching is a watch that fails its test.
type watching struct {
	t *testing.T
	store.Watcher
}

func watch(t *testing.T, s store.Store, prefix string) watching {
	t.Helper()
	w, err := s.Watch(brief(t), prefix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return watching{t, w}
}

func (w watching) next() store.Change {
	w.t.Helper()
	c, err := w.Next()
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// put wants an entry.
func (w watching) put(key, value string, revision uint64) {
	w.t.Helper()
	c := w.next()
	if c.Synced || c.Deleted || c.Key != key || string(c.Value) != value || c.Revision != revision {
		w.t.Fatalf("the watch told %+v, not of %s at %d", c, key, revision)
	}
	wantRecent(w.t, c.Written)
}

// deleted wants a deletion, and returns its revision.
func (w watching) deleted(key string) uint64 {
	w.t.Helper()
	c := w.next()
	if c.Synced || !c.Deleted || c.Key != key || len(c.Value) != 0 {
		w.t.Fatalf("the watch told %+v, not of the end of %s", c, key)
	}
	return c.Revision
}

func (w watching) synced() {
	w.t.Helper()
	if c := w.next(); !c.Synced {
		w.t.Fatalf("the watch told %+v and not that all has been told", c)
	}
}

func testWatch(t *testing.T, s store.Store) {
	empty := watch(t, s, "")
	empty.synced()
	bob := create(t, s, "user.bob", "1")
	ada := create(t, s, "user.ada", "1")
	bob2 := update(t, s, "user.bob", "2", bob)
	remove(t, s, "user.ada", ada)
	cyd := create(t, s, "user.cyd", "1")

	empty.put("user.bob", "1", bob)
	empty.put("user.ada", "1", ada)
	empty.put("user.bob", "2", bob2)
	if gone := empty.deleted("user.ada"); gone <= bob2 || gone >= cyd {
		t.Errorf("the deletion between %d and %d has revision %d", bob2, cyd, gone)
	}
	empty.put("user.cyd", "1", cyd)

	later := watch(t, s, "")
	later.put("user.bob", "2", bob2)
	later.put("user.cyd", "1", cyd)
	later.synced()
	remove(t, s, "user.cyd", cyd)
	later.deleted("user.cyd")
	empty.deleted("user.cyd")
}

func testWatchPrefix(t *testing.T, s store.Store) {
	ada := create(t, s, "user.ada", "1")
	create(t, s, "users.ada", "1")
	w := watch(t, s, "user.")
	w.put("user.ada", "1", ada)
	w.synced()
	other := create(t, s, "use.r", "1")
	remove(t, s, "use.r", other)
	create(t, s, "token.user", "1")
	bob := create(t, s, "user.bob.token", "1")
	w.put("user.bob.token", "1", bob)
}

func testRecreated(t *testing.T, s store.Store) {
	first := create(t, s, "user.ada", "1")
	w := watch(t, s, "user.")
	w.put("user.ada", "1", first)
	w.synced()
	for i := range 3 {
		remove(t, s, "user.ada", first)
		w.deleted("user.ada")
		value := "again " + strconv.Itoa(i)
		first = create(t, s, "user.ada", value)
		w.put("user.ada", value, first)
	}
	again := watch(t, s, "user.")
	again.put("user.ada", "again 2", first)
	again.synced()
}

// A slow watch misses nothing, or says that it does.
func testSlowWatch(t *testing.T, s store.Store) {
	w := watch(t, s, "")
	w.synced()
	var revisions []uint64
	revision := create(t, s, "busy.key", "x")
	for i := range 40 {
		revisions = append(revisions, revision, create(t, s, "key.k"+strconv.Itoa(i), "x"))
		revision = update(t, s, "busy.key", "x", revision)
	}
	for _, want := range append(revisions, revision) {
		c, err := w.Next()
		if errors.Is(err, store.ErrUnavailable) {
			break
		}
		if err != nil || c.Revision != want {
			t.Fatalf("the watch told %+v (%v), not of revision %d", c, err, want)
		}
	}
	again := watch(t, s, "busy.")
	again.put("busy.key", "x", revision)
}

func testWatchAmongWriters(t *testing.T, s store.Store) {
	ctx := brief(t)
	var wg sync.WaitGroup
	const each = 20
	for i := range writers {
		wg.Go(func() {
			for n := range each {
				if _, err := s.Create(ctx, "key.w"+strconv.Itoa(i)+"-"+strconv.Itoa(n), []byte("x")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	defer wg.Wait()
	for range 3 {
		told := make(map[string]bool)
		w := watch(t, s, "key.")
		var last uint64
		for synced := false; len(told) < writers*each || !synced; {
			c := w.next()
			switch {
			case c.Synced:
				synced = true
			case told[c.Key]:
				t.Fatalf("%s was told twice", c.Key)
			case synced && c.Revision < last:
				t.Fatalf("revision %d was told after %d", c.Revision, last)
			default:
				told[c.Key] = true
				if synced {
					last = c.Revision
				}
			}
		}
		w.Close()
	}
}

func testWatchEnds(t *testing.T, s store.Store) {
	ctx, cancel := context.WithCancel(brief(t))
	w, err := s.Watch(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	if c, err := w.Next(); err != nil || !c.Synced {
		t.Fatalf("%+v, %v", c, err)
	}
	ended := make(chan error)
	go func() {
		_, err := w.Next()
		ended <- err
	}()
	cancel()
	wantErr(t, <-ended, context.Canceled)
	_, err = w.Next()
	wantErr(t, err, context.Canceled)

	closed := watch(t, s, "")
	closed.synced()
	closed.Close()
	_, err = closed.Next()
	wantErr(t, err, context.Canceled)
}

func testClose(t *testing.T, s store.Store) {
	ctx := brief(t)
	j, err := s.Journal(ctx, "audit", store.Retention{})
	if err != nil {
		t.Fatal(err)
	}
	w, err := s.Watch(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := s.Nodes(ctx)
	if err != nil {
		t.Fatal(err)
	}
	follow, err := j.Follow(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	held, err := s.Hold(ctx, "edge", leaseTTL)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	for _, next := range []func() error{
		func() error { _, err := w.Next(); return err },
		func() error { _, err := nodes.Next(); return err },
		func() error { _, err := follow.Next(); return err },
	} {
		go func() {
			for {
				if err := next(); err != nil {
					ended <- err
					return
				}
			}
		}()
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		wantErr(t, <-ended, store.ErrUnavailable)
	}
	<-held.Lost()
	if held.Valid() {
		t.Error("the lease is valid")
	}
	_, err = s.Get(ctx, "user.ada")
	wantErr(t, err, store.ErrUnavailable)
	_, err = s.Create(ctx, "user.ada", nil)
	wantErr(t, err, store.ErrUnavailable)
	_, err = j.Append(ctx, nil)
	wantErr(t, err, store.ErrUnavailable)
	if err := s.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
}
