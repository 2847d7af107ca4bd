//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"jackfield/bench/compare"
	"jackfield/bench/measure"
)

// entryMeasures returns what was selected.
func (s storeSize) entryMeasures() []compare.Measure[keeper] {
	all := []compare.Measure[keeper]{s.writes(), s.reads(), s.watches()}
	return slices.DeleteFunc(all, func(m compare.Measure[keeper]) bool { return !s.keys[m.Key] })
}

func (s storeSize) writes() compare.Measure[keeper] {
	return compare.Measure[keeper]{
		Key:     writeKey,
		Metrics: s.accessMetrics("write"),
		Sample: func(ctx context.Context, k keeper) ([]float64, error) {
			value := make([]byte, s.value)
			return s.access(ctx, func(ctx context.Context, key string) error { return k.put(ctx, key, value) })
		},
	}
}

// reads reads what one write before made.
func (s storeSize) reads() compare.Measure[keeper] {
	return compare.Measure[keeper]{
		Key:     readKey,
		Metrics: s.accessMetrics("read"),
		Sample: func(ctx context.Context, k keeper) ([]float64, error) {
			for n := range s.writers {
				if err := k.put(ctx, entryKey(n), make([]byte, s.value)); err != nil {
					return nil, err
				}
			}
			return s.access(ctx, func(ctx context.Context, key string) error {
				value, err := k.get(ctx, key)
				if err == nil && len(value) != s.value {
					err = fmt.Errorf("%s has %d bytes, not %d", key, len(value), s.value)
				}
				return err
			})
		},
	}
}

func (s storeSize) accessMetrics(access string) []compare.Metric {
	return []compare.Metric{
		{Name: fmt.Sprintf("%s of %d bytes, one at a time, p50", access, s.value), Unit: "µs"},
		{Name: fmt.Sprintf("%s of %d bytes, one at a time, p99", access, s.value), Unit: "µs"},
		{Name: fmt.Sprintf("%ss, %d at a time", access, s.writers), Unit: "1/s"},
	}
}

// access samples the latency of one, and then the rate of many, each with an entry to itself.
func (s storeSize) access(ctx context.Context, do func(ctx context.Context, key string) error) ([]float64, error) {
	keys := make(chan string, s.writers)
	for n := range s.writers {
		keys <- entryKey(n)
	}
	once := func(ctx context.Context) error {
		key := <-keys
		defer func() { keys <- key }()
		return do(ctx, key)
	}
	if err := once(ctx); err != nil { // who has been idle is slower at first
		return nil, err
	}
	_, p50, p99, err := measure.Sessions(ctx, 1, s.sample, once)
	if err != nil {
		return nil, err
	}
	rate, _, _, err := measure.Sessions(ctx, s.writers, s.sample, once)
	return []float64{p50, p99, rate}, err
}

func entryKey(n int) string { return fmt.Sprintf("bench.entry-%d", n) }

// lastWord returns what follows the last dot of a key.
func lastWord(key string) string { return key[strings.LastIndexByte(key, '.')+1:] }

// watches samples how long it takes from the beginning of a write until it is done and a watch has told it.
func (s storeSize) watches() compare.Measure[keeper] {
	return compare.Measure[keeper]{
		Key: watchKey,
		Metrics: []compare.Metric{
			{Name: "write until a watch has told it, p50", Unit: "µs"},
			{Name: "write until a watch has told it, p99", Unit: "µs"},
		},
		Sample: func(ctx context.Context, k keeper) ([]float64, error) {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			const key = "watched.entry"
			next, err := k.watch(ctx, key)
			if err != nil {
				return nil, err
			}
			value := make([]byte, s.value)
			once := func(ctx context.Context) error {
				binary.BigEndian.PutUint64(value, binary.BigEndian.Uint64(value)+1)
				if err := k.put(ctx, key, bytes.Clone(value)); err != nil {
					return err
				}
				told, err := next()
				if err == nil && !bytes.Equal(told, value) {
					err = errors.New("a watch told another value than the one written")
				}
				return err
			}
			if err := once(ctx); err != nil { // with it the watch is under way
				return nil, err
			}
			_, p50, p99, err := measure.Sessions(ctx, 1, s.sample, once)
			return []float64{p50, p99}, err
		},
	}
}
