package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"jackfield"
	"jackfield/internal/audit"
	"jackfield/internal/identity"
)

// A subscriber that reads gets everything once and in order, whenever it goes and comes back; or it is told that it does not.
func TestHubKeepsOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const keep, queue = 8, 4
		h := newHub(keep, queue)
		published, seen := uint64(0), uint64(0)
		var s *subscriber
		take := func(e numberedEvent) {
			if e.number != seen+1 {
				t.Fatalf("event %d came after %d", e.number, seen)
			}
			seen = e.number
		}
		t.Repeat(map[string]func(*rapid.T){
			"publish": func(t *rapid.T) {
				for range rapid.SampledFrom([]int{1, 2, queue, queue + 1, keep, 2*keep + 1}).Draw(t, "events") {
					h.Publish(Event{Type: DeviceGone})
					published++
				}
			},
			"read": func(t *rapid.T) {
				for s != nil && len(s.events) > 0 {
					take(<-s.events)
				}
			},
			"come": func(t *rapid.T) {
				if s != nil {
					h.unsubscribe(s)
				}
				var missed []numberedEvent
				var complete bool
				s, missed, complete = h.subscribe(h.id(seen))
				if complete != (published-seen <= uint64(len(h.kept))) || !complete && published-seen < keep {
					t.Fatalf("after %d of %d, the rest is whole: %v", seen, published, complete)
				}
				if !complete {
					seen = published
				}
				for _, e := range missed {
					take(e)
				}
			},
			"": func(t *rapid.T) {
				if len(h.kept) > 2*keep {
					t.Fatalf("%d events are kept", len(h.kept))
				}
			},
		})
	})
}

func TestHubForgets(t *testing.T) {
	h := NewHub()
	h.Publish(Event{Subject: "1"})
	old := h.id(1)
	s, _, _ := h.subscribe("")
	h.Forget()
	if _, open := <-s.events; open {
		t.Error("a subscriber was not told that events are missing")
	}
	if _, _, complete := h.subscribe(old); complete {
		t.Error("what came before events were missing is a good place to go on")
	}
	h.Publish(Event{Subject: "2"})
	if _, missed, complete := h.subscribe(h.id(2)); !complete || len(missed) != 1 || missed[0].Subject != "2" {
		t.Errorf("afterwards: %+v, %v", missed, complete)
	}
}

// streamOf runs a stream of the source on a recorder, and returns what was written.
func streamOf(t *testing.T, ctx context.Context, wait time.Duration, source func(send func(frame) bool)) (text, why string) {
	s := New(Options{Audit: func(*audit.Call) {}})
	w := httptest.NewRecorder()
	ctx, cancel := context.WithCancelCause(ctx)
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	c := &call{server: s, w: w, r: r, ctx: ctx, who: &identity.Caller{Identity: jackfield.Identity{User: "ada"}}}
	stop := time.AfterFunc(wait, func() { s.Stop("enough") })
	defer stop.Stop()
	defer cancel(nil)
	over, leave := context.WithCancel(context.Background())
	why, err := c.stream(leave, func(send func(frame) bool) {
		source(send)
		<-over.Done()
	})
	if err != nil {
		t.Fatal(err)
	}
	return w.Body.String(), why
}

func TestKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		text, why := streamOf(t, t.Context(), 50*time.Second, func(send func(frame) bool) {
			time.Sleep(10 * time.Second)
			send(frame{id: "1", event: "e", data: "x\ny"})
		})
		const want = ": here are events\n\nid: 1\nevent: e\ndata: \"x\\ny\"\n\n: still here\n\n: still here\n\nevent: end\ndata: {\"reason\":\"enough\"}\n\n"
		if text != want || why != "enough" {
			t.Errorf("got %q, want %q (%s)", text, want, why)
		}
		if took := time.Since(began); took != 50*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r rates
		s := Session{ID: "a", Started: time.Now()}
		look := func(want float64) {
			t.Helper()
			got := r.measure(time.Now(), []Session{s})(s)
			if want < 0 {
				if got != nil {
					t.Errorf("after %d bytes: %+v, want none", s.BytesFromService, *got)
				}
			} else if got == nil || got.FromService != want || got.FromClient != 2*want {
				t.Errorf("after %d bytes: %+v, want %v", s.BytesFromService, got, want)
			}
		}
		pass := func(after time.Duration, perSecond int64) {
			time.Sleep(after)
			s.BytesFromService += perSecond * int64(after/time.Second)
			s.BytesFromClient = 2 * s.BytesFromService
		}
		pass(10*time.Second, 1000)
		look(-1) // nobody has looked before
		pass(2*time.Second, 50)
		look(50)
		pass(8*time.Second, 50)
		look(50)
		pass(4*time.Second, 0)
		look(500.0 / 14)
		for range 5 {
			pass(5*time.Second, 7)
			r.measure(time.Now(), []Session{s})
		}
		pass(time.Second, 7)
		look(7)
		pass(time.Hour, 100)
		look(-1) // what was seen an hour ago says nothing
		young := Session{ID: "b", Started: time.Now(), BytesFromClient: 0}
		pass(4*time.Second, 0)
		young.BytesFromClient = 400
		if got := r.measure(time.Now(), []Session{s, young})(young); got == nil || got.FromClient != 100 {
			t.Errorf("of one that is younger than the last look: %+v", got)
		}
	})
}

func TestSessionsInOrder(t *testing.T) {
	at := time.Date(2026, 11, 22, 5, 0, 0, 0, time.FixedZone("", 3600))
	sorted := []Session{
		{ID: "z", Started: at.Add(-time.Minute).UTC()}, {ID: "a", Started: at}, {ID: "b", Started: at.UTC()}, {ID: "0", Started: at.Add(1)},
	}
	if !slices.IsSortedFunc(sorted, func(a, b Session) int { return strings.Compare(sessionKey(a), sessionKey(b)) }) {
		t.Error("the keys are not in the order of time and id")
	}
}
