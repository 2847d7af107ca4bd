package identity

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"jackfield"
)

// fail has n wrong passwords counted, each as soon as it may be.
func fail(t *testing.T, th *throttle, user string, from netip.Addr, n int) {
	t.Helper()
	for range n {
		end, err := th.begin(user, from)
		for err != nil {
			time.Sleep(RetryAfter(err)) // of the bubble's clock
			end, err = th.begin(user, from)
		}
		end(false)
	}
}

func TestDelaysGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle()
		fail(t, th, "ada", source, perAccount.free)
		for _, want := range []time.Duration{0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900} {
			end, err := th.begin("ada", source)
			if got := RetryAfter(err); got != want*time.Second {
				t.Fatalf("wait %s, want %ds", got, want)
			}
			if err != nil {
				wantKind(t, err, jackfield.Limited)
				time.Sleep(RetryAfter(err) - time.Nanosecond)
				if _, err := th.begin("ada", source); err == nil {
					t.Fatal("the delay is not over and it may begin")
				}
				time.Sleep(time.Nanosecond)
				if end, err = th.begin("ada", source); err != nil {
					t.Fatal(err)
				}
			}
			end(false)
		}
	})
}

func TestOneSourceLocksNobodyElseOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle()
		fail(t, th, "ada", source, 12)
		if _, err := th.begin("ada", source); err == nil {
			t.Error("the source that failed may go on")
		}
		for _, other := range []string{"192.0.2.8", "::ffff:192.0.2.9", "2001:db8::7", "127.0.0.1"} {
			end, err := th.begin("ada", netip.MustParseAddr(other))
			if err != nil {
				t.Fatalf("%s: %v", other, err)
			}
			end(true)
		}
		end, err := th.begin("bob", source)
		if err != nil {
			t.Fatalf("another user from the same source: %v", err)
		}
		end(true)
	})
}

func TestManyUsersFromOneSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle()
		for n := range perSource.free + 1 {
			fail(t, th, fmt.Sprint("user-", n), source, 1)
		}
		_, err := th.begin("another", source)
		wantKind(t, err, jackfield.Limited)
		if RetryAfter(err) != time.Second {
			t.Errorf("wait %s", RetryAfter(err))
		}
	})
}

func TestSuccessForgives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle()
		fail(t, th, "ada", source, perAccount.free)
		end, err := th.begin("ada", source)
		if err != nil {
			t.Fatal(err)
		}
		end(true)
		fail(t, th, "ada", source, perAccount.free)
		if _, err := th.begin("ada", source); err != nil {
			t.Errorf("failures before the success still count: %v", err)
		}
		if n := th.sources.known[jackfield.SourceOf(source)].Value.(*failed[netip.Prefix]).count; n != 2*perAccount.free {
			t.Errorf("%d failures of the source are known", n)
		}
	})
}

func TestRareFailuresOfManyAreForgiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle()
		for n := range 10 * perSource.free {
			fail(t, th, fmt.Sprint("user-", n), source, 1)
			time.Sleep(perSource.longest)
		}
		if _, err := th.begin("another", source); err != nil {
			t.Error(err)
		}
	})
}

func TestTimeForgives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle()
		fail(t, th, "ada", source, 8)
		time.Sleep(forgiveAfter)
		fail(t, th, "bob", source, 1)
		if th.accounts.order.Len() != 1 || th.accounts.wait(account{"ada", jackfield.SourceOf(source)}, time.Now()) != 0 {
			t.Error("old failures still count")
		}
	})
}

func TestFailuresAreBounded(t *testing.T) {
	f := newFailures[int](perAccount)
	f.max = 10
	now := time.Now()
	for n := range 100 {
		f.add(n, now.Add(time.Duration(n)))
	}
	if len(f.known) != 10 || f.order.Len() != 10 || f.oldest().key != 90 {
		t.Errorf("%d and %d are known, the oldest is %d", len(f.known), f.order.Len(), f.oldest().key)
	}
}

func TestComputationsAtOnce(t *testing.T) {
	th := newThrottle()
	first, err := th.begin("ada", source)
	if err != nil {
		t.Fatal(err)
	}
	_, err = th.begin("bob", source)
	wantKind(t, err, jackfield.Limited)
	second, err := th.begin("bob", netip.MustParseAddr("192.0.2.8"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = th.begin("eve", netip.MustParseAddr("192.0.2.9"))
	wantKind(t, err, jackfield.Limited)
	if RetryAfter(err) != time.Second {
		t.Errorf("wait %s", RetryAfter(err))
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = th.wait(ended)
	wantKind(t, err, jackfield.Limited)
	first(true)
	second(false)
	leave, err := th.wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	leave()
	if len(th.places) != 0 || len(th.running) != 0 {
		t.Error("a place was not given back")
	}
}
