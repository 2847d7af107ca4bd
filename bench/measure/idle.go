//go:build linux

package measure

import (
	"context"
	"fmt"
	"net"
	"slices"
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
	costs, err := idle(ctx, p, n, func() ([]process.Usage, error) {
		usage, err := p.Usage()
		return []process.Usage{usage}, err
	})
	if err != nil {
		return 0, 0, err
	}
	return costs[0].KiB, costs[0].Descriptors, nil
}

// A Chain is a forwarder of several programs, which are weighed one by one.
type Chain[C net.Conn] interface {
	Path[C]
	Usages() ([]process.Usage, error)
}

// A Cost is what one idle session costs a program.
type Cost struct{ KiB, Descriptors float64 }

// IdleEach is Idle for each program of a forwarder, in their order.
func IdleEach[C net.Conn](ctx context.Context, p Chain[C], n int) ([]Cost, error) {
	return idle(ctx, p, n, p.Usages)
}

func idle[C net.Conn](ctx context.Context, p Path[C], n int, weigh func() ([]process.Usage, error)) ([]Cost, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	if err := carry(ctx, p, 16, nil); err != nil {
		return nil, fmt.Errorf("idle: %w", err)
	}
	before, err := Steady(ctx, weigh)
	if err != nil {
		return nil, fmt.Errorf("idle: %w", err)
	}
	var with []process.Usage
	err = carry(ctx, p, n, func() error {
		with, err = Steady(ctx, weigh)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("idle: %w", err)
	}
	costs := make([]Cost, len(with))
	for k := range with {
		costs[k] = CostOf(before[k], with[k], n)
	}
	return costs, nil
}

// CostOf is what each of n things costs that a program has got between two weighings.
func CostOf(before, with process.Usage, n int) Cost {
	return Cost{
		KiB:         float64(with.Resident-before.Resident) / 1024 / float64(n),
		Descriptors: float64(with.Descriptors-before.Descriptors) / float64(n),
	}
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

// Steady weighs programs until they stay the same for a while, and at most for two seconds.
func Steady(ctx context.Context, weigh func() ([]process.Usage, error)) ([]process.Usage, error) {
	const every, tries = 100 * time.Millisecond, 20
	last, err := weigh()
	for range tries {
		if err != nil {
			return nil, err
		}
		if err := sleep(ctx, every); err != nil {
			return nil, err
		}
		var now []process.Usage
		if now, err = weigh(); err == nil && slices.Equal(now, last) {
			break
		}
		last = now
	}
	return last, err
}
