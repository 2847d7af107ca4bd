package store_test

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"jackfield/internal/store"
	"jackfield/internal/store/memory"
)

// A replica is what Follow was told.
type replica struct {
	mu     sync.Mutex
	values map[string]string
	told   int
}

func (r *replica) apply(c store.Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told++
	if c.Deleted {
		delete(r.values, c.Key)
		return
	}
	r.values[c.Key] = string(c.Value)
}

func (r *replica) has(t *testing.T, told int, want map[string]string) {
	t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !maps.Equal(r.values, want) || r.told != told {
		t.Errorf("after %d changes the replica is %v, want %v after %d", r.told, r.values, want, told)
	}
}

// A follower that lost the store is told what changed meanwhile, deletions too, and nothing twice.
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		defer s.Close()
		ctx, cancel := context.WithCancel(t.Context())
		write := func(key, value string) uint64 {
			t.Helper()
			revision, err := s.Create(t.Context(), key, []byte(value))
			if err != nil {
				t.Fatal(err)
			}
			return revision
		}
		gone := write("a.gone", "1")
		write("a.stays", "2")
		changes := write("a.changes", "3")
		write("b.other", "4")
		r := &replica{values: make(map[string]string)}
		done, err := store.Follow(ctx, s, "a.", slog.New(slog.DiscardHandler), r.apply)
		if err != nil {
			t.Fatal(err)
		}
		r.has(t, 3, map[string]string{"a.gone": "1", "a.stays": "2", "a.changes": "3"})

		s.SetReachable(false)
		synctest.Wait()
		time.Sleep(time.Minute) // of the bubble: it tries in vain meanwhile
		s.SetReachable(true)
		if err := s.Delete(t.Context(), "a.gone", gone); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Update(t.Context(), "a.changes", []byte("5"), changes); err != nil {
			t.Fatal(err)
		}
		write("a.new", "6")
		time.Sleep(time.Minute)
		r.has(t, 6, map[string]string{"a.stays": "2", "a.changes": "5", "a.new": "6"})

		cancel()
		<-done
		write("a.late", "7")
		r.has(t, 6, map[string]string{"a.stays": "2", "a.changes": "5", "a.new": "6"})
	})
}

func TestFollowTellsThatItCannot(t *testing.T) {
	s := memory.New()
	defer s.Close()
	s.SetReachable(false)
	if _, err := store.Follow(t.Context(), s, "a.", slog.New(slog.DiscardHandler), func(store.Change) {}); err == nil {
		t.Error("no error")
	}
}
