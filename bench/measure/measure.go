//go:build linux

// Package measure takes single samples of a forwarder: how much it carries, how fast it connects, how long a byte is under
// way, and what an idle session costs.
//
// Every sample is bounded in time and in count, and leaves no connection behind.
package measure

import (
	"context"
	"net"
	"sync"
	"time"
)

// A Path leads to the backend through a forwarder, by connections of one type.
type Path[C net.Conn] interface {
	// Dial opens a connection that has the deadline of ctx.
	Dial(ctx context.Context) (C, error)

	// Settle waits until the backend has no connection left.
	Settle(ctx context.Context) error
}

// patience is how long a sample may take beyond the time that it measures.
const patience = 15 * time.Second

// open opens n connections, a few at a time, and prepares each of them; all or none.
func open[C net.Conn](ctx context.Context, p Path[C], n int, prepare func(net.Conn) error) ([]net.Conn, error) {
	conns, errs := make([]net.Conn, n), make([]error, n)
	var wg sync.WaitGroup
	places := make(chan struct{}, 16)
	for k := range n {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			c, err := p.Dial(ctx)
			if err == nil {
				conns[k] = c
				err = prepare(c)
			}
			errs[k] = err
		})
	}
	wg.Wait()
	if err := firstOf(errs); err != nil {
		closeAll(conns)
		return nil, err
	}
	return conns, nil
}

func closeAll(conns []net.Conn) {
	for _, c := range conns {
		if c != nil {
			c.Close()
		}
	}
}

func firstOf(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
