package store

import (
	"context"
	"errors"
	"sync"
	"time"
)

// MaxTTL is the longest time for which a lease is taken or renewed.
const MaxTTL = time.Hour

// Margin is the part of a ttl for which the holder of a lease does not count on it any more: a fifth. It covers the time in
// which the holder stops what it does, and clocks that do not run equally fast.
func Margin(ttl time.Duration) time.Duration { return ttl / 5 }

// KeepLease is for those who implement Hold. It returns the lease that was taken by a request which began at start, and
// renews it until it is released or lost, or ctx ends. A renewal is tried after every quarter of the ttl, and sooner after
// one that failed; one that fails with ErrExists or ErrConflict loses the lease at once. release is called at most once, for
// a lease that was valid until then; renew is not called any more when it is.
func KeepLease(ctx context.Context, start time.Time, ttl time.Duration, renew, release func(context.Context) error) NodeLease {
	l := &lease{term: ttl - Margin(ttl), start: start, release: release, kept: make(chan struct{})}
	l.ctx, l.lose = context.WithCancel(ctx)
	l.mu.Lock() // expire may run at once
	defer l.mu.Unlock()
	l.end = time.AfterFunc(time.Until(start.Add(l.term)), l.expire)
	go l.keep(ttl/4, renew)
	return l
}

type lease struct {
	term    time.Duration // for which it is in force after the start of a renewal
	release func(context.Context) error
	ctx     context.Context // ends when the lease does
	lose    context.CancelFunc
	kept    chan struct{} // closed when the renewing has ended

	mu    sync.Mutex
	start time.Time // of the last renewal that succeeded; has the monotonic clock
	end   *time.Timer
}

func (l *lease) Lost() <-chan struct{} { return l.ctx.Done() }

func (l *lease) Valid() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.valid()
}

// valid makes the loss final as soon as it is seen: a renewal that succeeds too late does not bring the lease back.
func (l *lease) valid() bool {
	if l.ctx.Err() == nil && time.Since(l.start) >= l.term {
		l.lose()
	}
	return l.ctx.Err() == nil
}

// expire runs when the term may have ended. Renewals have moved the end since then.
func (l *lease) expire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.valid() {
		l.end.Reset(time.Until(l.start.Add(l.term)))
	}
}

func (l *lease) renewed(start time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.valid() {
		l.start = start
	}
}

func (l *lease) Release(ctx context.Context) error {
	if !l.giveUp() {
		return nil
	}
	<-l.kept
	return l.release(ctx)
}

// giveUp says whether the lease was valid until now.
func (l *lease) giveUp() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.end.Stop()
	valid := l.valid()
	l.lose()
	return valid
}

func (l *lease) keep(every time.Duration, renew func(context.Context) error) {
	defer close(l.kept)
	defer l.giveUp()
	for wait := every; ; {
		select {
		case <-l.ctx.Done():
			return
		case <-time.After(wait):
		}
		start := time.Now()
		ctx, cancel := context.WithTimeout(l.ctx, every)
		err := renew(ctx)
		cancel()
		switch {
		case err == nil:
			l.renewed(start)
			wait = every
		case errors.Is(err, ErrExists), errors.Is(err, ErrConflict):
			return
		default:
			wait = every / 5
		}
	}
}
