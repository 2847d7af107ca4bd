//go:build linux

package measure

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"jackfield/bench/backend"
	"jackfield/bench/process"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// direct is a path without a forwarder, which claims to hold 3 KiB and 2 descriptors for every open connection.
type direct struct {
	service string
	dialled *atomic.Int64
}

func (d direct) Dial(ctx context.Context) (*net.TCPConn, error) {
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, "tcp4", d.service)
	if err != nil {
		return nil, err
	}
	d.dialled.Add(1)
	deadline, _ := ctx.Deadline()
	return c.(*net.TCPConn), c.SetDeadline(deadline)
}

func (d direct) Taken(ctx context.Context) (uint64, error) { return backend.Discarded(ctx, d.service) }

func (d direct) Settle(ctx context.Context) error { return backend.WaitQuiet(ctx, d.service) }

func start(t *testing.T) direct {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { _ = backend.Serve(l) })
	d := direct{l.Addr().String(), new(atomic.Int64)}
	t.Cleanup(func() {
		if err := d.Settle(context.Background()); err != nil {
			t.Error(err)
		}
		l.Close()
		wg.Wait()
	})
	return d
}

func TestBulk(t *testing.T) {
	d := start(t)
	rate, err := Bulk(t.Context(), d, 3, 300*time.Millisecond)
	if err != nil || rate <= 0 || d.dialled.Load() != 3 {
		t.Errorf("%v MB/s over %d connections, %v", rate, d.dialled.Load(), err)
	}
	rate, err = Upload(t.Context(), d, 2, 300*time.Millisecond)
	if err != nil || rate <= 0 || d.dialled.Load() != 5 {
		t.Errorf("up: %v MB/s over %d connections, %v", rate, d.dialled.Load()-3, err)
	}
}

func TestConnectsCountsWhatItOpened(t *testing.T) {
	d := start(t)
	begin := time.Now()
	rate, err := Connects(t.Context(), d, 4, 300*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	// The sample lies within the time that the call took, so the rate over the call's time is a lower bound.
	if least := float64(d.dialled.Load()) / time.Since(begin).Seconds(); rate < least || d.dialled.Load() == 0 {
		t.Errorf("%v/s, but %d connections make at least %v/s", rate, d.dialled.Load(), least)
	}
}

func TestRoundTripsEndsWithTheSample(t *testing.T) {
	d := start(t)
	p50, p99, err := RoundTrips(t.Context(), d, 2, 300*time.Millisecond)
	if err != nil || p50 <= 0 || p99 < p50 || d.dialled.Load() != 2 {
		t.Errorf("p50 %v µs, p99 %v µs over %d connections, %v", p50, p99, d.dialled.Load(), err)
	}
}

func TestBesideADownload(t *testing.T) {
	d := start(t)
	p50, p99, rate, err := Beside(t.Context(), d, 300*time.Millisecond)
	if err != nil || p50 <= 0 || p99 < p50 || rate <= 0 || d.dialled.Load() != 2 {
		t.Errorf("p50 %v µs, p99 %v µs beside %v MB/s over %d connections, %v", p50, p99, rate, d.dialled.Load(), err)
	}
}

// weighed holds 3 KiB and 2 descriptors for every session that the service has open, and a lot from its start.
type weighed struct {
	direct
	open *atomic.Int64
}

func (w weighed) Dial(ctx context.Context) (*net.TCPConn, error) {
	w.open.Add(1)
	return w.direct.Dial(ctx)
}

func (w weighed) Settle(ctx context.Context) error {
	err := w.direct.Settle(ctx)
	w.open.Store(0)
	return err
}

func (w weighed) Usage() (process.Usage, error) {
	n := w.open.Load()
	return process.Usage{Resident: 50<<20 + 3072*n, Descriptors: 11 + 2*int(n)}, nil
}

func TestIdleTakesOffWhatWasThereBefore(t *testing.T) {
	kib, descriptors, err := Idle(t.Context(), weighed{start(t), new(atomic.Int64)}, 40)
	if err != nil || kib != 3 || descriptors != 2 {
		t.Errorf("%v KiB and %v descriptors for a session, %v; want 3 and 2", kib, descriptors, err)
	}
}

// twofold is weighed as two programs, of which the second one costs nothing.
type twofold struct{ weighed }

func (w twofold) Usages() ([]process.Usage, error) {
	first, err := w.Usage()
	return []process.Usage{first, {Resident: 1 << 20, Descriptors: 5}}, err
}

func TestIdleOfEachProgram(t *testing.T) {
	costs, err := IdleEach(t.Context(), twofold{weighed{start(t), new(atomic.Int64)}}, 40)
	if err != nil || !slices.Equal(costs, []Cost{{KiB: 3, Descriptors: 2}, {}}) {
		t.Errorf("%v for a session, %v", costs, err)
	}
}

func TestAForwarderThatIsNotThereFailsTheSample(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := direct{l.Addr().String(), new(atomic.Int64)}
	l.Close()
	if _, err := Bulk(t.Context(), d, 2, time.Millisecond); err == nil {
		t.Error("bulk: no error")
	}
	if _, err := Upload(t.Context(), d, 2, time.Millisecond); err == nil {
		t.Error("upload: no error")
	}
	if _, err := Connects(t.Context(), d, 2, time.Millisecond); err == nil {
		t.Error("connects: no error")
	}
	if _, _, err := RoundTrips(t.Context(), d, 2, time.Millisecond); err == nil {
		t.Error("round trips: no error")
	}
	if _, _, _, err := Beside(t.Context(), d, time.Millisecond); err == nil {
		t.Error("round trips beside a download: no error")
	}
}

func TestPacedTakesItsTimeAndEndsWithTheFirstFailure(t *testing.T) {
	sessions := 0
	begin := time.Now()
	p50, p99, err := Paced(t.Context(), 3, 20*time.Millisecond, func(context.Context) error { sessions++; return nil })
	if took := time.Since(begin); err != nil || sessions != 3 || took < 60*time.Millisecond || p50 <= 0 || p99 < p50 {
		t.Errorf("%d sessions in %v, p50 %v µs, p99 %v µs, %v", sessions, took, p50, p99, err)
	}
	broken := errors.New("broken")
	_, _, err = Paced(t.Context(), 3, time.Minute, func(context.Context) error { return broken })
	if !errors.Is(err, broken) {
		t.Errorf("the error is %v", err)
	}
}
