// Package storetest holds every store to what package store says.
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) store.Store { return memory.New() })
//	}
//
// Leases and retention take seconds of real time. Those tests run beside each other.
package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"jackfield/internal/store"
)

// patience is for what happens at once on a machine with nothing else to do.
const patience = 30 * time.Second

// Run runs the suite. open returns an empty store, which the suite closes.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s store.Store)
	}{
		{"entries have revisions", testRevisions},
		{"an entry is made once", testCreate},
		{"an update names the revision", testUpdate},
		{"a deletion names the revision", testDelete},
		{"a list is what is below a prefix", testList},
		{"keys and values that cannot be stored", testInvalid},
		{"the largest key and value", testMaxima},
		{"values belong to who has them", testAliasing},
		{"one of many writers wins", testOneWins},
		{"counting together", testCounting},
		{"a call whose context is cancelled", testCancelled},
		{"a watch", testWatch},
		{"a watch below a prefix", testWatchPrefix},
		{"a watch sees a key deleted and made again", testRecreated},
		{"a slow watch", testSlowWatch},
		{"a watch that begins while others write", testWatchAmongWriters},
		{"a watch ends with its context", testWatchEnds},
		{"the end of the store", testClose},
		{"a simple model", testModel},
		{"a lease is held beyond its ttl", testLeaseHeld},
		{"a lease has one holder", testLeaseOneHolder},
		{"a lease is given up", testLeaseReleased},
		{"a lease that cannot be asked for", testLeaseInvalid},
		{"nodes come and go", testNodes},
		{"a journal", testJournal},
		{"a journal is followed", testFollow},
		{"journals are apart", testJournalsApart},
		{"many append to a journal", testAppendTogether},
		{"a journal forgets by age", testRetentionAge},
		{"a journal forgets by size", testRetentionBytes},
		{"records that cannot be stored", testJournalInvalid},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			t.Cleanup(func() { s.Close() })
			test.run(t, s)
		})
	}
}

// brief is a context for what must not take longer than patience.
func brief(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func create(t *testing.T, s store.Store, key, value string) uint64 {
	t.Helper()
	revision, err := s.Create(brief(t), key, []byte(value))
	if err != nil {
		t.Fatalf("create %s: %v", key, err)
	}
	return revision
}

func update(t *testing.T, s store.Store, key, value string, revision uint64) uint64 {
	t.Helper()
	next, err := s.Update(brief(t), key, []byte(value), revision)
	if err != nil {
		t.Fatalf("update %s: %v", key, err)
	}
	return next
}

func remove(t *testing.T, s store.Store, key string, revision uint64) {
	t.Helper()
	if err := s.Delete(brief(t), key, revision); err != nil {
		t.Fatalf("delete %s: %v", key, err)
	}
}

func get(t *testing.T, s store.Store, key string) store.Entry {
	t.Helper()
	e, err := s.Get(brief(t), key)
	if err != nil {
		t.Fatalf("get %s: %v", key, err)
	}
	return e
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("the error is %v, not %v", err, want)
	}
}

func wantRecent(t *testing.T, at time.Time) {
	t.Helper()
	if age := time.Since(at); age < -time.Minute || age > time.Minute {
		t.Errorf("it was written %s ago", age)
	}
}
