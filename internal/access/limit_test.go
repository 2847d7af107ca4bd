package access

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"jackfield"
)

var errBroken = errors.New("broken")

// enter returns leave, or who refused.
func enter(t testing.TB, l *Limit, address string) (leave func(), by string) {
	t.Helper()
	leave, err := l.Enter(context.Background(), request(address))
	if err == nil {
		return leave, ""
	}
	refusal := jackfield.AsError(err)
	if refusal.Kind != jackfield.Limited || refusal.Message == "" {
		t.Errorf("refusal %+v", refusal)
	}
	return nil, refusal.By
}

// expect enters once for each wanted outcome and checks who refused; "" is admission.
func expect(t *testing.T, l *Limit, address string, want ...string) {
	t.Helper()
	for i, w := range want {
		if _, by := enter(t, l, address); by != w {
			t.Errorf("%s, try %d: refused by %q, want %q", address, i, by, w)
		}
	}
}

func TestNothingConfigured(t *testing.T) {
	l := NewLimit("global", Limits{Message: "unused"})
	for range 1000 {
		if _, by := enter(t, l, "::1"); by != "" {
			t.Fatalf("refused by %s", by)
		}
	}
}

// Who came in under an earlier configuration counts, and leaves as he came.
func TestConfigure(t *testing.T) {
	var table LimitTable
	l := table.Get("global")
	if table.Get("global") != l || table.Get("other") == l {
		t.Fatal("the table does not tell limits apart by name")
	}
	first, _ := enter(t, l, "10.0.0.1")
	second, _ := enter(t, l, "10.0.0.1")
	l.Configure(Limits{MaxSessions: 2})
	expect(t, l, "10.0.0.1", "limit.global.max_sessions")
	first()
	third, by := enter(t, l, "10.0.0.1")
	if by != "" {
		t.Fatalf("refused by %s", by)
	}
	l.Configure(Limits{MaxSessionsPerSource: 1}) // counts from here on
	fourth, by := enter(t, l, "10.0.0.1")
	if by != "" {
		t.Fatalf("refused by %s", by)
	}
	expect(t, l, "10.0.0.1", "limit.global.max_sessions_per_source")
	l.Configure(Limits{MaxSessionsPerSource: 1, RatePerSource: Rate{Count: 5, Period: time.Second}})
	expect(t, l, "10.0.0.1", "limit.global.max_sessions_per_source")
	l.Configure(Limits{})
	for _, leave := range []func(){second, third, fourth} {
		leave()
	}
	l.Configure(Limits{MaxSessions: 1})
	expect(t, l, "10.0.0.1", "", "limit.global.max_sessions")
}

func TestMaxSessions(t *testing.T) {
	l := NewLimit("global", Limits{MaxSessions: 2, Message: "full house"})
	leave, _ := enter(t, l, "10.0.0.1")
	expect(t, l, "10.0.0.2", "", "limit.global.max_sessions")
	_, err := l.Enter(t.Context(), request("::1"))
	if message := jackfield.AsError(err).Message; message != "full house" {
		t.Errorf("message %q", message)
	}
	leave()
	leave() // the second call does nothing
	expect(t, l, "10.0.0.3", "", "limit.global.max_sessions")
}

func TestMaxSessionsPerSource(t *testing.T) {
	l := NewLimit("listener.mux", Limits{MaxSessionsPerSource: 1})
	leave, _ := enter(t, l, "10.0.0.1")
	expect(t, l, "::ffff:10.0.0.1", "limit.listener.mux.max_sessions_per_source")
	expect(t, l, "10.0.0.2", "")
	expect(t, l, "2001:db8::1", "")
	expect(t, l, "2001:db8::ffff:2", "limit.listener.mux.max_sessions_per_source")
	expect(t, l, "2001:db8:0:1::1", "")
	leave()
	expect(t, l, "10.0.0.1", "")
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimit("global", Limits{Rate: Rate{2, time.Second}})
		expect(t, l, "10.0.0.1", "", "", "limit.global.max_rate")
		time.Sleep(499 * time.Millisecond)
		expect(t, l, "10.0.0.1", "limit.global.max_rate")
		time.Sleep(time.Millisecond)
		expect(t, l, "10.0.0.2", "", "limit.global.max_rate")
		time.Sleep(time.Hour)
		expect(t, l, "10.0.0.3", "", "", "limit.global.max_rate")
	})
}

func TestRatePerSourceOutlivesTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimit("global", Limits{RatePerSource: Rate{1, time.Minute}})
		leave, _ := enter(t, l, "10.0.0.1")
		leave()
		expect(t, l, "10.0.0.1", "limit.global.max_rate_per_source")
		expect(t, l, "10.0.0.2", "")
		time.Sleep(time.Minute)
		expect(t, l, "10.0.0.1", "")
	})
}

func TestRefusalTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimit("s", Limits{MaxSessionsPerSource: 1, Rate: Rate{3, time.Hour}, RatePerSource: Rate{2, time.Hour}})
		leave, _ := enter(t, l, "10.0.0.1")
		for range 10 {
			expect(t, l, "10.0.0.1", "limit.s.max_sessions_per_source")
		}
		leave()
		expect(t, l, "10.0.0.1", "")
		expect(t, l, "10.0.0.2", "")
		expect(t, l, "10.0.0.3", "limit.s.max_rate")
		if known := len(l.sources.known); known != 2 {
			t.Errorf("%d sources known: a refused one was remembered", known)
		}
	})
}

func TestSourcesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		withRate := NewLimit("r", Limits{RatePerSource: Rate{1, time.Minute}})
		without := NewLimit("s", Limits{MaxSessionsPerSource: 1})
		for i := range 100 {
			for _, l := range []*Limit{withRate, without} {
				leave, _ := enter(t, l, fmt.Sprintf("10.0.0.%d", i))
				leave()
			}
		}
		if n := len(without.sources.known); n != 0 {
			t.Errorf("%d sources known without a session", n)
		}
		time.Sleep(time.Minute)
		for i := range 50 {
			expect(t, withRate, fmt.Sprintf("10.0.1.%d", i), "")
		}
		if n, idle := len(withRate.sources.known), withRate.sources.idle.Len(); n != 50 || idle != 0 {
			t.Errorf("%d sources known, %d idle; want the 50 with a session", n, idle)
		}
	})
}

func TestNoRoomForSources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimit("r", Limits{RatePerSource: Rate{1, time.Minute}})
		l.sources.max = 2
		leave, _ := enter(t, l, "10.0.0.1")
		expect(t, l, "10.0.0.2", "")
		expect(t, l, "10.0.0.3", "limit.r.sources")
		leave()
		expect(t, l, "10.0.0.3", "") // in place of 10.0.0.1, which is idle
		expect(t, l, "10.0.0.2", "limit.r.max_rate_per_source")
		if n := len(l.sources.known); n != 2 {
			t.Errorf("%d sources known", n)
		}
	})
}

func TestNeverMoreThanMaxInside(t *testing.T) {
	const most, mostPerSource = 5, 2
	l := NewLimit("global", Limits{MaxSessions: most, MaxSessionsPerSource: mostPerSource})
	var inside atomic.Int64
	var perSource [4]atomic.Int64
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			for range 500 {
				i := rand.IntN(len(perSource))
				leave, by := enter(t, l, fmt.Sprintf("10.0.0.%d", i))
				if by != "" {
					continue
				}
				if n, m := inside.Add(1), perSource[i].Add(1); n > most || m > mostPerSource {
					t.Errorf("%d inside, %d of one source", n, m)
				}
				inside.Add(-1)
				perSource[i].Add(-1)
				leave()
			}
		})
	}
	group.Wait()
	if l.sessions != 0 || len(l.sources.known) != 0 {
		t.Errorf("%d sessions and %d sources are left", l.sessions, len(l.sources.known))
	}
}

// The table of sources is checked against a model that remembers every entry ever made and forgets nothing.
func TestLimitAgainstModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		limits := Limits{
			MaxSessions:          rapid.IntRange(0, 4).Draw(rt, "max"),
			MaxSessionsPerSource: rapid.IntRange(1, 3).Draw(rt, "perSource"),
		}
		l := NewLimit("t", limits)
		type place struct {
			address string
			leave   func()
		}
		var open []place
		count := func(address string) (n int) {
			for _, p := range open {
				if p.address == address {
					n++
				}
			}
			return n
		}
		rt.Repeat(map[string]func(*rapid.T){
			"enter": func(rt *rapid.T) {
				address := rapid.SampledFrom(addresses).Draw(rt, "address")
				full := limits.MaxSessions > 0 && len(open) >= limits.MaxSessions || count(address) >= limits.MaxSessionsPerSource
				leave, by := enter(t, l, address)
				if (by != "") != full {
					rt.Fatalf("refused by %q, the model says full: %v", by, full)
				}
				if leave != nil {
					open = append(open, place{address, leave})
				}
			},
			"leave": func(rt *rapid.T) {
				if len(open) == 0 {
					rt.Skip("nobody is inside")
				}
				i := rapid.IntRange(0, len(open)-1).Draw(rt, "who")
				open[i].leave()
				open = append(open[:i], open[i+1:]...)
			},
			"": func(rt *rapid.T) {
				keys := map[source]bool{}
				for _, p := range open {
					keys[jackfield.SourceOf(netip.MustParseAddr(p.address))] = true
				}
				if l.sessions != len(open) || len(l.sources.known) != len(keys) {
					rt.Fatalf("%d sessions, %d sources; want %d, %d", l.sessions, len(l.sources.known), len(open), len(keys))
				}
			},
		})
	})
}

func TestParseRate(t *testing.T) {
	for text, want := range map[string]Rate{
		"50/s":      {50, time.Second},
		"600/m":     {600, time.Minute},
		"1000/h":    {1000, time.Hour},
		"1000000/s": {1_000_000, time.Second},
	} {
		if got, err := ParseRate(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "50", "50/", "/s", "0/s", "-1/s", "1.5/s", "50/d", "50/s/s", "1000001/s", "99999999999999999999/s"} {
		if got, err := ParseRate(bad); err == nil {
			t.Errorf("%q was read as %v", bad, got)
		}
	}
}
