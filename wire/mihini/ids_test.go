package mihini

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestIDsInTheOriginalOrder(t *testing.T) {
	a := newAllocator()
	for i := range MaxStreams {
		if id, ok := a.take(time.Time{}); !ok || id != uint8(i+1) {
			t.Fatalf("the %dth id is %d, %v", i, id, ok)
		}
	}
	if id, ok := a.take(time.Time{}); ok {
		t.Errorf("%d was given out twice", id)
	}
	if _, rests := a.rests(time.Time{}); rests {
		t.Error("an id rests")
	}
}

// TestIDsModel: no id is in two places, none is lost, and no id is given out that was freed after the last proof and
// less than restTime ago. Quiet ids come in the order in which they were freed.
func TestIDsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := newAllocator()
		now := time.Unix(1000, 0)
		inUse := map[uint8]uint64{} // with the stamp of CONNECT, 0 before it is sent
		freedAt := map[uint8]resting{}
		var probed *probe
		proved := func(stamp uint64) {
			for id, r := range freedAt {
				if r.stamp < stamp {
					delete(freedAt, id)
				}
			}
		}
		pick := func(t *rapid.T) uint8 {
			var ids []uint8
			for id := range inUse {
				ids = append(ids, id)
			}
			if len(ids) == 0 {
				t.Skip("none in use")
			}
			slices.Sort(ids)
			return rapid.SampledFrom(ids).Draw(t, "id")
		}
		t.Repeat(map[string]func(*rapid.T){
			"take": func(t *rapid.T) {
				id, ok := a.take(now)
				if !ok {
					return
				}
				if _, used := inUse[id]; used || probed != nil && probed.id == id {
					t.Fatalf("%d is in use", id)
				}
				if r, rests := freedAt[id]; rests && now.Sub(r.since) < restTime {
					t.Fatalf("%d was freed %v ago", id, now.Sub(r.since))
				}
				delete(freedAt, id)
				inUse[id] = 0
			},
			"connect": func(t *rapid.T) { id := pick(t); inUse[id] = a.mark() },
			"react": func(t *rapid.T) {
				if stamp := inUse[pick(t)]; stamp != 0 {
					a.proved(stamp)
					proved(stamp)
				}
			},
			"free": func(t *rapid.T) {
				id := pick(t)
				delete(inUse, id)
				a.free(id, now)
				freedAt[id] = resting{id, a.stamp, now}
			},
			"give back": func(t *rapid.T) {
				id := pick(t)
				if inUse[id] == 0 {
					delete(inUse, id)
					a.giveBack(id)
				}
			},
			"probe": func(t *rapid.T) {
				if id, ok := a.startProbe(); ok {
					if probed != nil {
						t.Fatal("two probes")
					}
					a.probe.stamp = a.mark()
					probed = &probe{id, a.probe.stamp}
					delete(freedAt, id)
				}
			},
			"CLOSE": func(t *rapid.T) {
				id := rapid.Uint8().Draw(t, "id")
				isProbe := probed != nil && probed.id == id
				if a.answered(id) != isProbe {
					t.Fatalf("CLOSE %d answers the probe: %v", id, !isProbe)
				}
				if isProbe {
					proved(probed.stamp)
					probed = nil
				}
			},
			"time": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 600).Draw(t, "ms")) * time.Millisecond)
			},
			"": func(t *rapid.T) {
				seen := map[uint8]int{}
				for _, id := range a.quiet {
					seen[id]++
				}
				for _, r := range a.resting {
					seen[r.id]++
				}
				for id := range inUse {
					seen[id]++
				}
				if a.probing {
					seen[a.probe.id]++
				}
				if len(seen) != MaxStreams {
					t.Fatalf("%d ids are left", len(seen))
				}
				for id, n := range seen {
					if n != 1 {
						t.Fatalf("%d is in %d places", id, n)
					}
				}
			},
		})
	})
}

func TestIDsLeastRecentlyFreedFirst(t *testing.T) {
	a := newAllocator()
	now := time.Unix(1000, 0)
	for range MaxStreams {
		a.take(now)
	}
	for _, id := range []uint8{9, 3, 200, 0} {
		a.free(id, now)
	}
	now = now.Add(restTime)
	for _, want := range []uint8{9, 3, 200, 0} {
		if id, ok := a.take(now); !ok || id != want {
			t.Fatalf("got %d, %v; want %d", id, ok, want)
		}
	}
}
