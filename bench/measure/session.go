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
