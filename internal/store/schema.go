package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
)

// Schema is the version of what this program keeps in a store: which keys there are, and what their values look like.
const Schema = 1

const schemaKey = "meta.schema"

// A migration makes a store of one version one of the next. Several nodes may do it at once, and one that was cut short is
// done again: it must find its own work in order.
type migration func(context.Context, Store) error

// migrations leads from version 1 to Schema. A change of what is stored adds a step, and one to Schema.
var migrations = [Schema - 1]migration{}

// IsEmpty says whether nothing was ever kept in the store: CheckSchema has not been called.
func IsEmpty(ctx context.Context, s Store) (bool, error) {
	_, err := s.Get(ctx, schemaKey)
	if errors.Is(err, ErrNotFound) {
		return true, nil
	}
	return false, err
}

// CheckSchema is called once by a program that opened a store. An older store is brought up to date; one that a newer program
// has written is refused.
func CheckSchema(ctx context.Context, s Store) error { return checkSchema(ctx, s, migrations[:]) }

func checkSchema(ctx context.Context, s Store, steps []migration) error {
	ours := len(steps) + 1
	for {
		e, err := s.Get(ctx, schemaKey)
		if errors.Is(err, ErrNotFound) {
			_, err = s.Create(ctx, schemaKey, strconv.AppendInt(nil, int64(ours), 10))
			if err == nil || !errors.Is(err, ErrExists) {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		version, err := strconv.Atoi(string(e.Value))
		switch {
		case err != nil || version < 1:
			return fmt.Errorf("the store has the schema version %.20q, which no Jackfield has written", e.Value)
		case version > ours:
			return newerSchema("the store", version, ours)
		case version == ours:
			return nil
		}
		if err := steps[version-1](ctx, s); err != nil {
			return fmt.Errorf("bring the store from schema version %d to %d: %w", version, version+1, err)
		}
		next := strconv.AppendInt(nil, int64(version+1), 10)
		if _, err := s.Update(ctx, schemaKey, next, e.Revision); err != nil && !errors.Is(err, ErrConflict) {
			return err
		}
	}
}

func newerSchema(what string, version, ours int) error {
	return fmt.Errorf("%s was written by a newer Jackfield (schema version %d; this program knows %d): install that one",
		what, version, ours)
}
