//go:build linux

package measure

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"jackfield/bench/backend"
)

// maxConnects bounds the connections of one sample: the kernel keeps the port of each for a minute after its end.
const maxConnects = 4000

// Connects has workers open a connection, take one byte there and back, and close it, over and over for d, and returns
// connections per second, all workers together.
func Connects(ctx context.Context, p Path, workers int, d time.Duration) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, d+patience)
	defer cancel()
	var begun, done atomic.Int64
	errs := make([]error, workers)
	start := time.Now()
	var wg sync.WaitGroup
	for k := range workers {
		wg.Go(func() {
			for errs[k] == nil && begun.Add(1) <= maxConnects && time.Since(start) < d {
				if errs[k] = connect(ctx, p); errs[k] == nil {
					done.Add(1)
				}
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(start)
	if err := firstOf(errs); err != nil {
		return 0, fmt.Errorf("connects: %w", err)
	}
	return float64(done.Load()) / elapsed.Seconds(), p.Settle(ctx)
}

func connect(ctx context.Context, p Path) error {
	c, err := p.Dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	return backend.Echo(c)
}
