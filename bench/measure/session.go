//go:build linux

package measure

import (
	"context"
	"fmt"
	"time"

	"jackfield/bench/stats"
)

// Sessions has workers go through whole sessions for d and returns how many per second, all workers together, and the 50th
// and the 99th percentile of what one takes, in microseconds.
func Sessions(ctx context.Context, workers int, d time.Duration,
	session func(ctx context.Context) error) (rate, p50, p99 float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, d+patience)
	defer cancel()
	rate, times, err := repeat(workers, d, func() error { return session(ctx) })
	if err != nil {
		return 0, 0, 0, fmt.Errorf("sessions: %w", err)
	}
	return rate, stats.Percentile(times, 50), stats.Percentile(times, 99), nil
}

// Paced goes through n whole sessions, one after the other, and begins one in every interval, so that what a forwarder
// does between two sessions is done before the next. It returns the 50th and the 99th percentile of what one takes, in
// microseconds, when the last interval has passed.
func Paced(ctx context.Context, n int, every time.Duration,
	session func(ctx context.Context) error) (p50, p99 float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(n)*every+patience)
	defer cancel()
	times := make([]float64, n)
	for k := range times {
		began := time.Now()
		if err := session(ctx); err != nil {
			return 0, 0, fmt.Errorf("sessions: %w", err)
		}
		took := time.Since(began)
		times[k] = float64(took.Nanoseconds()) / 1e3
		if err := sleep(ctx, every-took); err != nil {
			return 0, 0, fmt.Errorf("sessions: %w", err)
		}
	}
	return stats.Percentile(times, 50), stats.Percentile(times, 99), nil
}
