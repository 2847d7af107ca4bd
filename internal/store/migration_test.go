package store

import (
	"context"
	"errors"
	"strconv"
	"testing"
)

// A oneEntry is a store of nothing but its schema version.
type oneEntry struct {
	Store
	version string
}

func (s *oneEntry) Get(context.Context, string) (Entry, error) {
	return Entry{Key: schemaKey, Value: []byte(s.version), Revision: 1}, nil
}

func (s *oneEntry) Update(_ context.Context, _ string, value []byte, _ uint64) (uint64, error) {
	s.version = string(value)
	return 1, nil
}

func TestMigrations(t *testing.T) {
	var done []int
	step := func(from int) migration {
		return func(context.Context, Store) error {
			done = append(done, from)
			return nil
		}
	}
	s := &oneEntry{version: "2"}
	if err := checkSchema(t.Context(), s, []migration{step(1), step(2), step(3)}); err != nil {
		t.Fatal(err)
	}
	if len(done) != 2 || done[0] != 2 || done[1] != 3 || s.version != "4" {
		t.Errorf("the steps %v led to version %s", done, s.version)
	}
}

func TestMigrationFails(t *testing.T) {
	broken := errors.New("broken")
	s := &oneEntry{version: strconv.Itoa(1)}
	err := checkSchema(t.Context(), s, []migration{func(context.Context, Store) error { return broken }})
	if !errors.Is(err, broken) || s.version != "1" {
		t.Errorf("version %s: %v", s.version, err)
	}
}
