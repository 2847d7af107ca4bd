package memory_test

import (
	"errors"
	"fmt"
	"testing"

	"go.uber.org/goleak"

	"jackfield/internal/store"
	"jackfield/internal/store/memory"
	"jackfield/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return memory.New() })
}

func TestUnreachable(t *testing.T) {
	s := memory.New()
	defer s.Close()
	w, err := s.Watch(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	s.SetReachable(false)
	if _, err := s.Create(t.Context(), "user.ada", nil); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("create: %v", err)
	}
	if _, err := w.Next(); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("watch: %v", err)
	}
	s.SetReachable(true)
	if _, err := s.Create(t.Context(), "user.ada", nil); err != nil {
		t.Errorf("create: %v", err)
	}
}

func TestWatchTooFarBehind(t *testing.T) {
	s := memory.New()
	defer s.Close()
	w, err := s.Watch(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for i := range memory.MaxBehind + 1 {
		if _, err := s.Create(t.Context(), fmt.Sprintf("key.k%d", i), nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Next(); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a watch that is too far behind: %v", err)
	}
}
