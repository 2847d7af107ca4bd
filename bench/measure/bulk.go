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
func Bulk[C net.Conn](ctx context.Context, p Path[C], n int, d time.Duration) (float64, error) {
	var received atomic.Uint64
	return flow(ctx, p, n, d, movement{
		ask:   func(c net.Conn) error { return backend.Send(c, 0) },
		begin: func(c net.Conn) error { _, err := io.ReadFull(c, make([]byte, 1)); return err },
		move:  func(c net.Conn) { drain(c, &received) },
		moved: func(context.Context) (uint64, error) { return received.Load(), nil },
	})
}

// A Sink is a path whose backend can tell, around the forwarder, how many bytes of uploads it has got.
type Sink[C net.Conn] interface {
	Path[C]
	Taken(ctx context.Context) (uint64, error)
}

// Upload is Bulk in the other direction. What the service has got counts, not what is under way.
func Upload[C net.Conn](ctx context.Context, p Sink[C], n int, d time.Duration) (float64, error) {
	return flow(ctx, p, n, d, movement{
		ask:   backend.Discard,
		begin: func(c net.Conn) error { _, err := c.Write(make([]byte, 1)); return err },
		move:  fill,
		moved: p.Taken,
	})
}

// A movement is how bytes move over a connection: it is asked for, it has begun with the first byte, and it goes on until the
// connection is closed.
type movement struct {
	ask, begin func(net.Conn) error
	move       func(net.Conn)
	moved      func(ctx context.Context) (uint64, error) // bytes so far, of all connections
}

// flow has bytes move over n connections at once.
func flow[C net.Conn](ctx context.Context, p Path[C], n int, d time.Duration, m movement) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*d+patience)
	defer cancel()
	conns, err := open(ctx, p, n, m.ask)
	if err != nil {
		return 0, fmt.Errorf("bulk: %w", err)
	}
	var flowing, ended sync.WaitGroup
	errs := make([]error, n)
	flowing.Add(n)
	for k, c := range conns {
		ended.Go(func() {
			errs[k] = m.begin(c)
			flowing.Done()
			m.move(c)
		})
	}
	flowing.Wait()
	rate, err := 0.0, firstOf(errs)
	if err == nil {
		rate, err = rateOf(ctx, m.moved, d)
	}
	closeAll(conns)
	ended.Wait()
	if err != nil {
		return 0, fmt.Errorf("bulk: %w", err)
	}
	return rate / 1e6, p.Settle(ctx)
}

func drain(c net.Conn, received *atomic.Uint64) {
	buffer := make([]byte, 256<<10)
	for {
		n, err := c.Read(buffer)
		received.Add(uint64(n))
		if err != nil {
			return // closed by us; if it broke by itself, the rate shows it
		}
	}
}

func fill(c net.Conn) {
	chunk := backend.Pattern()[:256<<10]
	for {
		if _, err := c.Write(chunk); err != nil {
			return // as above
		}
	}
}

// rateOf returns by how much per second the count grows. On a busy machine a short d may pass without a byte: then it
// goes on, as long as ctx lets it.
func rateOf(ctx context.Context, count func(context.Context) (uint64, error), d time.Duration) (float64, error) {
	if err := sleep(ctx, d/5); err != nil {
		return 0, err
	}
	before, err := count(ctx)
	if err != nil {
		return 0, err
	}
	for start := time.Now(); ; {
		if err := sleep(ctx, d); err != nil {
			return 0, err
		}
		now, err := count(ctx)
		if err != nil {
			return 0, err
		}
		if n := now - before; n > 0 {
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
