package store_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"jackfield/internal/store"
)

const ttl = 10 * time.Second

// A fakeServer renews leases, or does not.
type fakeServer struct {
	takes time.Duration // how long a request is under way

	mu       sync.Mutex
	err      error
	renewals int
	released int
}

func (f *fakeServer) renew(ctx context.Context) error {
	select {
	case <-time.After(f.takes):
	case <-ctx.Done():
		return ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.renewals++
	}
	return f.err
}

func (f *fakeServer) release(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.released++
	return f.err
}

func (f *fakeServer) answer(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *fakeServer) hold(ctx context.Context) store.NodeLease {
	return store.KeepLease(ctx, time.Now(), ttl, f.renew, f.release)
}

func wantLost(t *testing.T, l store.NodeLease, after time.Duration) {
	t.Helper()
	start := time.Now()
	<-l.Lost()
	if took := time.Since(start); took != after {
		t.Errorf("it was lost after %s, not %s", took, after)
	}
	if l.Valid() {
		t.Error("it is valid")
	}
}

func TestLeaseIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeServer{}
		l := f.hold(t.Context())
		time.Sleep(10 * ttl)
		synctest.Wait()
		if !l.Valid() || f.renewals < 39 {
			t.Errorf("valid: %v after %d renewals", l.Valid(), f.renewals)
		}
		if err := l.Release(t.Context()); err != nil || f.released != 1 {
			t.Errorf("released %d times: %v", f.released, err)
		}
		wantLost(t, l, 0)
		if err := l.Release(t.Context()); err != nil || f.released != 1 {
			t.Errorf("released %d times: %v", f.released, err)
		}
	})
}

// The time counts from the start of the last renewal that succeeded, not from its end.
func TestLeaseCountsFromTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeServer{takes: time.Second}
		l := f.hold(t.Context())
		time.Sleep(ttl/4 + f.takes) // one renewal, which began at ttl/4
		synctest.Wait()
		f.answer(store.ErrUnavailable)
		wantLost(t, l, ttl-store.Margin(ttl)-f.takes)
		if f.renewals != 1 || f.released != 0 {
			t.Errorf("%d renewals, %d releases", f.renewals, f.released)
		}
	})
}

func TestLeaseOutlivesAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeServer{err: store.ErrUnavailable}
		l := f.hold(t.Context())
		time.Sleep(ttl / 2)
		synctest.Wait()
		f.answer(nil)
		time.Sleep(ttl)
		if !l.Valid() {
			t.Error("it is lost")
		}
		l.Release(t.Context())
	})
}

func TestLeaseRequestsThatHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeServer{takes: time.Hour}
		wantLost(t, f.hold(t.Context()), ttl-store.Margin(ttl))
	})
}

func TestLeaseTakenByAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeServer{err: errors.Join(errors.New("gone"), store.ErrConflict)}
		l := f.hold(t.Context())
		wantLost(t, l, ttl/4)
		if l.Release(t.Context()); f.released != 0 {
			t.Error("what belongs to another was released")
		}
	})
}

// A process that was stopped notices at once, before any timer fires, and a renewal that succeeds now comes too late.
func TestLeaseIsNotRevived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeServer{}
		started := time.Now().Add(-ttl + store.Margin(ttl)) // as if the request had taken that long
		l := store.KeepLease(t.Context(), started, ttl, f.renew, f.release)
		if l.Valid() {
			t.Error("it is valid")
		}
		time.Sleep(ttl)
		synctest.Wait()
		if l.Valid() || f.renewals > 0 {
			t.Errorf("valid: %v after %d renewals", l.Valid(), f.renewals)
		}
	})
}

func TestLeaseEndsWithItsStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		l := new(fakeServer).hold(ctx)
		cancel()
		wantLost(t, l, 0)
	})
}
