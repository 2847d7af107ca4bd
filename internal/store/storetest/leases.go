package storetest

import (
	"testing"
	"time"

	"jackfield/internal/store"
)

// leaseTTL is long enough for machines that stall, and the tests of leases take some of it.
const leaseTTL = 10 * time.Second

func hold(t *testing.T, s store.Store, node string) store.NodeLease {
	t.Helper()
	l, err := s.Hold(brief(t), node, leaseTTL)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func testLeaseHeld(t *testing.T, s store.Store) {
	l := hold(t, s, "edge")
	beyond := time.After(leaseTTL * 6 / 5)
	for wait := true; wait; {
		select {
		case <-beyond:
			wait = false
		case <-l.Lost():
			t.Fatal("the lease is lost")
		}
	}
	if !l.Valid() {
		t.Error("the lease is not valid")
	}
	_, err := s.Hold(brief(t), "edge", leaseTTL)
	wantErr(t, err, store.ErrExists)
}

func testLeaseOneHolder(t *testing.T, s store.Store) {
	ctx := brief(t)
	var leases [writers]store.NodeLease
	together(func(i int) { leases[i], _ = s.Hold(ctx, "edge", leaseTTL) })
	held := 0
	for _, l := range leases {
		if l != nil {
			held++
		}
	}
	if held != 1 {
		t.Errorf("%d hold the lease", held)
	}
	hold(t, s, "edge-2")
}

func testLeaseReleased(t *testing.T, s store.Store) {
	first := hold(t, s, "edge")
	if err := first.Release(brief(t)); err != nil {
		t.Fatal(err)
	}
	<-first.Lost()
	if first.Valid() {
		t.Error("a lease that was given up is valid")
	}
	second := hold(t, s, "edge")
	if err := first.Release(brief(t)); err != nil {
		t.Errorf("given up again: %v", err)
	}
	if !second.Valid() {
		t.Error("the second holder has lost it")
	}
	_, err := s.Hold(brief(t), "edge", leaseTTL)
	wantErr(t, err, store.ErrExists)
}

func testLeaseInvalid(t *testing.T, s store.Store) {
	for _, ttl := range []time.Duration{0, -time.Second, time.Millisecond, 1500 * time.Millisecond, store.MaxTTL + time.Second} {
		_, err := s.Hold(brief(t), "edge", ttl)
		wantErr(t, err, store.ErrInvalid)
	}
	for _, node := range []string{"", "a.b", "a b", "*", string(make([]byte, store.MaxName+1))} {
		_, err := s.Hold(brief(t), node, leaseTTL)
		wantErr(t, err, store.ErrInvalid)
	}
}

func testNodes(t *testing.T, s store.Store) {
	west := hold(t, s, "west")
	nodes, err := s.Nodes(brief(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nodes.Close)
	w := watching{t, nodes}
	comes := func(key string) {
		t.Helper()
		if c := w.next(); c.Key != key || c.Deleted || len(c.Value) != 0 || c.Revision == 0 {
			t.Fatalf("the watch told %+v, and not that %s is there", c, key)
		}
	}
	comes("node.west")
	w.synced()
	hold(t, s, "east")
	comes("node.east")
	if err := west.Release(brief(t)); err != nil {
		t.Fatal(err)
	}
	w.deleted("node.west")
	hold(t, s, "west")
	comes("node.west") // and nothing of renewals
	entries, err := s.List(brief(t), "")
	if err != nil || len(entries) > 0 {
		t.Errorf("among the entries are %v (%v)", entries, err)
	}
}
