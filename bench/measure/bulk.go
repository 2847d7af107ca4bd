//go:build linux

package measure

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"jackfield/bench/backend"
)

// Bulk downloads from the service over n connections at once for d and returns megabytes (10^6 bytes) per second, all
// connections together. Before the bytes count, windows open and buffers fill for a fifth of d.
//
// Each connection is read as soon as bytes come: where all share one that has no flow control of its own, one that is not
// read would keep the others waiting.
func Bulk(ctx context.Context, p Path, n int, d time.Duration) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*d+patience)
	defer cancel()
	conns, err := open(ctx, p, n, func(c net.Conn) error { return backend.Send(c, 0) })
	if err != nil {
		return 0, fmt.Errorf("bulk: %w", err)
	}
	var received atomic.Int64
	var flowing, ended sync.WaitGroup
	errs := make([]error, n)
	flowing.Add(n)
	for k, c := range conns {
		ended.Go(func() {
			_, errs[k] = io.ReadFull(c, make([]byte, 1))
			flowing.Done()
			drain(c, &received)
		})
	}
	flowing.Wait()
	rate, err := 0.0, firstOf(errs)
	if err == nil {
		rate, err = rateOf(ctx, &received, d)
	}
	closeAll(conns)
	ended.Wait()
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
			return // closed by us; if it broke by itself, the rate shows it
		}
	}
}

// rateOf returns by how much per second the count grows. On a busy machine a short d may pass without a byte: then it
// goes on, as long as ctx lets it.
func rateOf(ctx context.Context, count *atomic.Int64, d time.Duration) (float64, error) {
	if err := sleep(ctx, d/5); err != nil {
		return 0, err
	}
	before, start := count.Load(), time.Now()
	for {
		if err := sleep(ctx, d); err != nil {
			return 0, err
		}
		if n := count.Load() - before; n > 0 {
			return float64(n) / time.Since(start).Seconds(), nil
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
