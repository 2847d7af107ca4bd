//go:build linux

package measure

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"jackfield/bench/backend"
)

// maxConnects bounds the connections of one sample: the kernel keeps the port of each for a minute after its end.
const maxConnects = 4000

// Connects has workers open a connection, take one byte there and back, and close it, over and over for d, and returns
// connections per second, all workers together.
func Connects[C net.Conn](ctx context.Context, p Path[C], workers int, d time.Duration) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, d+patience)
	defer cancel()
	rate, _, err := repeat(workers, d, func() error { return connect(ctx, p) })
	if err != nil {
		return 0, fmt.Errorf("connects: %w", err)
	}
	return rate, p.Settle(ctx)
}

func connect[C net.Conn](ctx context.Context, p Path[C]) error {
	c, err := p.Dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	return backend.Echo(c)
}

// repeat has workers do the same over and over for d, once at least, and returns how often per second it was done, all
// workers together, and how long each time took, in microseconds.
func repeat(workers int, d time.Duration, do func() error) (rate float64, times []float64, err error) {
	var begun atomic.Int64
	took, errs := make([][]float64, workers), make([]error, workers)
	start := time.Now()
	var wg sync.WaitGroup
	for k := range workers {
		wg.Go(func() {
			for errs[k] == nil && begun.Add(1) <= maxConnects && (time.Since(start) < d || len(took[k]) == 0) {
				began := time.Now()
				if errs[k] = do(); errs[k] == nil {
					took[k] = append(took[k], float64(time.Since(began).Nanoseconds())/1e3)
				}
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(start).Seconds()
	times = slices.Concat(took...)
	return float64(len(times)) / elapsed, times, firstOf(errs)
}
