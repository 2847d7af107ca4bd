package link

import (
	"testing"

	"pgregory.net/rapid"

	"jackfield/internal/link/control"
)

// The pool keeps what it is given or says that it does not, gives each connection out once, and is never larger than it should be.
func TestPool(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p pool
		kept := make(map[*dataConn]bool)
		asked := 0 // connections that will come
		gone := func(conns ...*dataConn) {
			for _, c := range conns {
				if !kept[c] {
					t.Fatal("a connection was given out that was not there")
				}
				delete(kept, c)
			}
		}
		newConn := func() *dataConn {
			near, far := newPipe()
			far.Close()
			return newDataConn(control.ServerData(near))
		}
		add := func() {
			room := p.wanted > 0 && len(p.ready) < MaxReady
			conn := newConn()
			if p.add(conn) != room {
				t.Fatalf("added: %v with %d, %d wanted", !room, len(p.ready), p.wanted)
			}
			if room {
				kept[conn] = true
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"open": func(t *rapid.T) {
				had := len(p.ready)
				good, stale := p.take()
				if (good != nil) != (had > 0) || len(stale) > 0 {
					t.Fatalf("took %v of %d", good, had)
				}
				if good != nil {
					gone(good)
				}
				n := p.missing()
				asked += n
				if coming := len(p.ready) + p.fetching; coming < p.wanted-p.wanted/4 || n > 0 && coming != p.wanted {
					t.Fatalf("%d are asked for, with %d of %d", n, len(p.ready), p.wanted)
				}
			},
			"come": func(*rapid.T) {
				if asked == 0 {
					return
				}
				asked--
				p.arrived()
				add()
			},
			"do not come": func(*rapid.T) {
				if asked == 0 {
					return
				}
				asked--
				p.arrived()
			},
			"come back": func(*rapid.T) { add() },
			"tick":      func(*rapid.T) { gone(p.tick()...) },
			"clear": func(t *rapid.T) {
				gone(p.clear()...)
				if len(kept) > 0 || p.wanted != 0 {
					t.Fatalf("%d are left, %d wanted", len(kept), p.wanted)
				}
			},
			"": func(t *rapid.T) {
				if len(p.ready) != len(kept) || len(p.ready) > MaxReady || p.wanted > maxAhead || p.fetching != asked {
					t.Fatalf("%d ready, %d kept, %d wanted, %d on their way of %d", len(p.ready), len(kept), p.wanted, p.fetching, asked)
				}
			},
		})
		for range 6 * patience { // 16 wanted, 8, 4, 2, 1, 0
			gone(p.tick()...)
		}
		if len(kept) > 0 {
			t.Fatalf("%d are left after a long time", len(kept))
		}
	})
}
