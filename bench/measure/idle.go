//go:build linux

package measure

import (
	"context"
	"fmt"
	"net"
	"time"

	"jackfield/bench/backend"
	"jackfield/bench/process"
)

// A Forwarder is a path whose programs can be weighed.
type Forwarder[C net.Conn] interface {
	Path[C]
	Usage() (process.Usage, error)
}

// Idle opens n sessions through a forwarder just started, takes one byte there and back through each, lets them be, and
// returns what each costs the forwarder: resident memory in KiB and descriptors. What the forwarder held before is taken
// off; it has carried a few sessions by then, so its code is in memory.
func Idle[C net.Conn](ctx context.Context, p Forwarder[C], n int) (kib, descriptors float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	if err := carry(ctx, p, 16, nil); err != nil {
		return 0, 0, fmt.Errorf("idle: %w", err)
	}
	before, err := steady(ctx, p)
	if err != nil {
		return 0, 0, fmt.Errorf("idle: %w", err)
	}
	var with process.Usage
	err = carry(ctx, p, n, func() error {
		with, err = steady(ctx, p)
		return err
	})
	if err != nil {
		return 0, 0, fmt.Errorf("idle: %w", err)
	}
	kib = float64(with.Resident-before.Resident) / 1024 / float64(n)
	return kib, float64(with.Descriptors-before.Descriptors) / float64(n), nil
}

// carry opens n sessions, does something meanwhile, and closes them.
func carry[C net.Conn](ctx context.Context, p Path[C], n int, meanwhile func() error) error {
	conns, err := open(ctx, p, n, backend.Echo)
	if err != nil {
		return err
	}
	if meanwhile != nil {
		err = meanwhile()
	}
	closeAll(conns)
	if err != nil {
		return err
	}
	return p.Settle(ctx)
}

// steady weighs the forwarder until it stays the same for a while, and at most for two seconds.
func steady[C net.Conn](ctx context.Context, p Forwarder[C]) (process.Usage, error) {
	const every, tries = 100 * time.Millisecond, 20
	last, err := p.Usage()
	for range tries {
		if err != nil {
			return process.Usage{}, err
		}
		if err := sleep(ctx, every); err != nil {
			return process.Usage{}, err
		}
		var now process.Usage
		if now, err = p.Usage(); err == nil && now == last {
			break
		}
		last = now
	}
	return last, err
}
