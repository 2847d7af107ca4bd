//go:build linux

package measure

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"jackfield/bench/backend"
)

// Bulk downloads from the service over n connections at once for d and returns megabytes (10^6 bytes) per second, all
// connections together. Before the bytes count, windows open and buffers fill for a fifth of d.
func Bulk(ctx context.Context, p Path, n int, d time.Duration) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*d+patience)
	defer cancel()
	conns, err := open(ctx, p, n, func(c net.Conn) error { return backend.Send(c, 0) })
	if err != nil {
		return 0, fmt.Errorf("bulk: %w", err)
	}
	var received atomic.Int64
	var wg sync.WaitGroup
	for _, c := range conns {
		wg.Go(func() { drain(c, &received) })
	}
	rate, err := rateOf(ctx, &received, d)
	closeAll(conns)
	wg.Wait()
	if err != nil {
		return 0, fmt.Errorf("bulk: %w", err)
	}
	return rate / 1e6, p.Settle(ctx)
}

func drain(c net.Conn, received *atomic.Int64) {
	buffer := make([]byte, 256<<10)
	for {
		n, err := c.Read(buffer)
		received.Add(int64(n))
		if err != nil {
			return // closed by us, or seen as too few bytes
		}
	}
}

// rateOf returns by how much per second the count grows.
func rateOf(ctx context.Context, count *atomic.Int64, d time.Duration) (float64, error) {
	if err := sleep(ctx, d/5); err != nil {
		return 0, err
	}
	before, start := count.Load(), time.Now()
	if err := sleep(ctx, d); err != nil {
		return 0, err
	}
	n := count.Load() - before
	if n == 0 {
		return 0, fmt.Errorf("nothing arrived within %v", d)
	}
	return float64(n) / time.Since(start).Seconds(), nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
