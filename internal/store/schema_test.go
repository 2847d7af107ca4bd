package store_test

import (
	"strings"
	"testing"

	"jackfield/internal/store"
	"jackfield/internal/store/memory"
)

func TestSchemaOfNewStore(t *testing.T) {
	s := memory.New()
	defer s.Close()
	for range 2 {
		if err := store.CheckSchema(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	if e, err := s.Get(t.Context(), "meta.schema"); err != nil || string(e.Value) != "1" {
		t.Errorf("it says %s (%v)", e.Value, err)
	}
}

func TestSchemaRefused(t *testing.T) {
	for value, want := range map[string]string{
		"2":   "was written by a newer Jackfield (schema version 2; this program knows 1)",
		"0":   "no Jackfield has written",
		"":    "no Jackfield has written",
		"one": "no Jackfield has written",
	} {
		s := memory.New()
		if _, err := s.Create(t.Context(), "meta.schema", []byte(value)); err != nil {
			t.Fatal(err)
		}
		if err := store.CheckSchema(t.Context(), s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("version %q: %v", value, err)
		}
		s.Close()
	}
}
