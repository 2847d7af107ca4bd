package link

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"jackfield/wire/mihini"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// connect brings a device's link up and into the table, and serves it as the listener does.
func connect(t *testing.T, d *Devices, a Arrival) (ended <-chan error, err error) {
	t.Helper()
	near, far := net.Pipe()
	device := mihini.NewDevice(far, mihini.DeviceOptions{})
	go device.Run(t.Context())
	server, err := mihini.Accept(t.Context(), near, mihini.ServerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	link, ctx, err := d.Enter(t.Context(), a, server)
	if err != nil {
		near.Close()
		return nil, err
	}
	done := make(chan error, 1)
	go func() {
		server.Run(ctx)
		done <- context.Cause(ctx)
		link.Leave()
	}()
	return done, nil
}

var meter = Arrival{Device: "meter-7", Listener: "field"}

func TestReplace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDevices()
		if _, err := d.Open(t.Context(), "meter-7", mihini.Target{}); !errors.Is(err, ErrNotConnected) {
			t.Errorf("Open without a link: %v", err)
		}
		first, err := connect(t, d, meter)
		if err != nil {
			t.Fatal(err)
		}
		refused := meter
		refused.Refuse = true
		if _, err := connect(t, d, refused); !errors.Is(err, ErrConnected) {
			t.Errorf("got %v", err)
		}
		for range MaxReplacements {
			next, err := connect(t, d, meter)
			if err != nil {
				t.Fatal(err)
			}
			if err := <-first; !errors.Is(err, errReplaced) {
				t.Errorf("the old link ended by %v", err)
			}
			first = next
		}
		if _, err := connect(t, d, meter); !errors.Is(err, ErrReplacedOften) {
			t.Errorf("got %v", err)
		}
		other := Arrival{Device: "meter-8"}
		if _, err := connect(t, d, other); err != nil {
			t.Errorf("another device: %v", err)
		}
		time.Sleep(ReplacementTime)
		if _, err := connect(t, d, meter); err != nil {
			t.Errorf("a minute later: %v", err)
		}
		if list := d.List(); len(list) != 2 || list[0].Device != "meter-7" || list[1].Device != "meter-8" {
			t.Errorf("listed %+v", list)
		}
	})
}

// Leaving by a link that was replaced leaves the new one alone.
func TestLeave(t *testing.T) {
	d := NewDevices()
	old, _, err := d.Enter(t.Context(), meter, nil)
	if err != nil {
		t.Fatal(err)
	}
	next, _, err := d.Enter(t.Context(), meter, nil)
	if err != nil {
		t.Fatal(err)
	}
	old.Leave()
	if !d.Connected("meter-7") {
		t.Error("the new link is gone with the old one")
	}
	next.Leave()
	if d.Connected("meter-7") {
		t.Error("the link is still there")
	}
}

func TestCut(t *testing.T) {
	d := NewDevices()
	_, kept, _ := d.Enter(t.Context(), meter, nil)
	_, cut, _ := d.Enter(t.Context(), Arrival{Device: "meter-8"}, nil)
	why := errors.New("unknown now")
	d.Cut(func(a Arrival) error {
		if a.Device == "meter-8" {
			return why
		}
		return nil
	})
	if err := context.Cause(cut); !errors.Is(err, why) {
		t.Errorf("cut by %v", err)
	}
	if err := kept.Err(); err != nil {
		t.Errorf("the other one ended: %v", err)
	}
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		d := NewDevices()
		told := 0
		d.Watch(ctx, func() { told++ })
		synctest.Wait()
		if told != 1 {
			t.Errorf("told %d times at the beginning", told)
		}
		link, _, _ := d.Enter(ctx, meter, nil)
		synctest.Wait()
		if told != 2 {
			t.Errorf("told %d times when a device came", told)
		}
		link.Leave()
		synctest.Wait()
		if told != 3 {
			t.Errorf("told %d times when it came and went", told)
		}
		stop()
		synctest.Wait()
		d.Enter(t.Context(), meter, nil)
		synctest.Wait()
		if told != 3 {
			t.Error("told after the end")
		}
	})
}
