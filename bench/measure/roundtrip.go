//go:build linux

package measure

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"jackfield/bench/backend"
	"jackfield/bench/stats"
)

// message is what goes there and back, in bytes.
const message = 64

// RoundTrips sends 64 bytes to an echo and waits for them, over and over for d on each of n connections, and returns the
// 50th and the 99th percentile of the time that took, in microseconds, over all connections.
func RoundTrips[C net.Conn](ctx context.Context, p Path[C], n int, d time.Duration) (p50, p99 float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, d+patience)
	defer cancel()
	conns, err := open(ctx, p, n, backend.Echo)
	if err != nil {
		return 0, 0, fmt.Errorf("round trips: %w", err)
	}
	times, errs := make([][]float64, n), make([]error, n)
	var wg sync.WaitGroup
	for k, c := range conns {
		wg.Go(func() { times[k], errs[k] = trips(c, d) })
	}
	wg.Wait()
	closeAll(conns)
	if err := firstOf(errs); err != nil {
		return 0, 0, fmt.Errorf("round trips: %w", err)
	}
	all := slices.Concat(times...)
	return stats.Percentile(all, 50), stats.Percentile(all, 99), p.Settle(ctx)
}

// Beside measures round trips as RoundTrips does, on one connection beside another over which the service sends as fast as it
// can, and returns what that one carries meanwhile, too, in megabytes (10^6 bytes) per second.
func Beside[C net.Conn](ctx context.Context, p Path[C], d time.Duration) (p50, p99, rate float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*d+patience)
	defer cancel()
	var received atomic.Uint64
	bulk, err := open(ctx, p, 1, func(c net.Conn) error { return backend.Send(c, 0) })
	if err != nil {
		return 0, 0, 0, fmt.Errorf("round trips beside a download: %w", err)
	}
	var ended sync.WaitGroup
	ended.Go(func() { drain(bulk[0], &received) })
	times, rate, err := besideBulk(ctx, p, d, &received)
	closeAll(bulk)
	ended.Wait()
	if err != nil {
		return 0, 0, 0, fmt.Errorf("round trips beside a download: %w", err)
	}
	return stats.Percentile(times, 50), stats.Percentile(times, 99), rate, p.Settle(ctx)
}

func besideBulk[C net.Conn](ctx context.Context, p Path[C], d time.Duration, received *atomic.Uint64) (times []float64, rate float64, err error) {
	conns, err := open(ctx, p, 1, backend.Echo)
	if err != nil {
		return nil, 0, err
	}
	defer closeAll(conns)
	if err := sleep(ctx, d/5); err != nil {
		return nil, 0, err
	}
	before, start := received.Load(), time.Now()
	times, err = trips(conns[0], d)
	return times, float64(received.Load()-before) / time.Since(start).Seconds() / 1e6, err
}

// trips measures at least one round trip after a few that do not count.
func trips(c net.Conn, d time.Duration) ([]float64, error) {
	const uncounted = 20
	buffer := make([]byte, message)
	for range uncounted {
		if err := trip(c, buffer); err != nil {
			return nil, err
		}
	}
	var times []float64
	begin := time.Now()
	for sent := begin; sent.Sub(begin) < d || len(times) == 0; {
		if err := trip(c, buffer); err != nil {
			return nil, err
		}
		back := time.Now()
		times = append(times, float64(back.Sub(sent).Nanoseconds())/1e3)
		sent = back
	}
	return times, nil
}

func trip(c net.Conn, buffer []byte) error {
	if _, err := c.Write(buffer); err != nil {
		return err
	}
	_, err := io.ReadFull(c, buffer)
	return err
}
