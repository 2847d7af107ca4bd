package agentd

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"jackfield"
	"jackfield/wire/inedo"
)

func TestShareOf(t *testing.T) {
	for room, want := range map[int]int{1: 1, 7: 7, 8: 2, 9: 2, 40: 10, defaultMaxHandshakes: 25} {
		if got := shareOf(room); got != want {
			t.Errorf("of %d places one address has %d, not %d", room, got, want)
		}
	}
}

// dialFrom connects to an inbound agent from an address of the loopback network, and says nothing.
func (a *inbound) dialFrom(t testing.TB, from string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := d.DialContext(t.Context(), "tcp", a.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// answers says whether the agent shakes hands on a connection, or has closed it without a byte.
func (a *inbound) answers(t testing.TB, conn net.Conn) bool {
	t.Helper()
	_, err := inedo.Handshake(context.Background(), conn, a.protocol)
	if timeout, is := errors.AsType[net.Error](err); is && timeout.Timeout() {
		t.Errorf("the agent neither answers nor closes the connection: %v", err)
	}
	return err == nil
}

// expectClosed wants the agent to close a connection without a byte.
func expectClosed(t testing.TB, conn net.Conn) {
	t.Helper()
	if got, err := io.ReadAll(conn); len(got) > 0 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %q, %v", got, err)
	}
}

// Who has taken the share of its address does not get in, and others do. A link that is up takes no place, and who leaves gives its
// place back.
func TestHandshakeShare(t *testing.T) {
	for name, linked := range map[string]bool{"alone": false, "beside a link": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			a := h.inbound(t, "none", h.options(), Offer{}, func(l *Listening) { l.MaxHandshakes = 8 })
			if linked {
				h.keep(a)
				eventually(t, "the link", h.logged("msg=linked")) // of the agent's log: then its handshake is over
			}
			first, second := a.dialFrom(t, "127.0.0.1"), a.dialFrom(t, "127.0.0.1")
			expectClosed(t, a.dialFrom(t, "127.0.0.1"))
			eventually(t, "what the agent says of it", h.logged("too many of its address are in handshake"))
			if !a.answers(t, a.dialFrom(t, "127.0.0.2")) {
				t.Error("another address does not get in")
			}
			if !a.answers(t, second) {
				t.Error("one of the share does not get in")
			}
			first.Close()
			eventually(t, "the place of one that has left", func() bool { return a.answers(t, a.dialFrom(t, "127.0.0.1")) })
			if linked && h.agents.Link("pi") == nil {
				t.Error("the link is gone")
			}
		})
	}
}

// However many come at once, as many of one address get in as its share is, and another address does.
func TestHandshakeShareAtOnce(t *testing.T) {
	const room, share, come = 40, 10, 80
	h := newHouse(t)
	a := h.inbound(t, "none", h.options(), Offer{}, func(l *Listening) { l.MaxHandshakes = room })
	var all sync.WaitGroup
	var in atomic.Int64
	for range come {
		all.Go(func() {
			conn, err := net.Dial("tcp", a.address)
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { conn.Close() }) // who is in stays there
			conn.SetDeadline(time.Now().Add(patience))
			if a.answers(t, conn) {
				in.Add(1)
			}
		})
	}
	all.Wait()
	if in.Load() != share {
		t.Errorf("%d of %d have got in, not %d", in.Load(), come, share)
	}
	if !a.answers(t, a.dialFrom(t, "127.0.0.2")) {
		t.Error("another address does not get in")
	}
}

// Whatever comes and goes, no source has more than its share, none is refused that has less, and nothing is remembered of who left.
func TestHandshakesProperty(t *testing.T) {
	sources := []string{"192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"}
	rapid.Check(t, func(t *rapid.T) {
		h := &handshakes{most: rapid.IntRange(1, 4).Draw(t, "most"), by: make(map[netip.Prefix]int)}
		inside := make(map[netip.Prefix][]func()) // by source
		t.Repeat(map[string]func(*rapid.T){
			"enter": func(t *rapid.T) {
				address := netip.MustParseAddr(rapid.SampledFrom(sources).Draw(t, "from"))
				leave, entered := h.enter(net.TCPAddrFromAddrPort(netip.AddrPortFrom(address, rapid.Uint16().Draw(t, "port"))))
				from := jackfield.SourceOf(address)
				if want := len(inside[from]) < h.most; entered != want {
					t.Fatalf("%v has %d of %d, and enters: %t", from, len(inside[from]), h.most, entered)
				}
				if entered {
					inside[from] = append(inside[from], leave)
				}
			},
			"leave": func(t *rapid.T) {
				from := jackfield.SourceOf(netip.MustParseAddr(rapid.SampledFrom(sources).Draw(t, "from")))
				if n := len(inside[from]); n > 0 {
					inside[from][n-1]()
					inside[from] = inside[from][:n-1]
				}
			},
			"": func(t *rapid.T) {
				remembered := 0
				for _, who := range inside {
					if len(who) > 0 {
						remembered++
					}
				}
				if len(h.by) != remembered {
					t.Fatalf("%d sources are remembered, not %d", len(h.by), remembered)
				}
			},
		})
	})
}

// Under the race detector: those who enter and leave at the same moment are counted right.
func TestHandshakesAtOnce(t *testing.T) {
	h := &handshakes{most: 3, by: make(map[netip.Prefix]int)}
	source := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}
	var all sync.WaitGroup
	var inside, most, entered atomic.Int64
	for range 16 {
		all.Go(func() {
			for range 500 {
				leave, ok := h.enter(source)
				if !ok {
					continue
				}
				entered.Add(1)
				for now := inside.Add(1); ; {
					seen := most.Load()
					if now <= seen || most.CompareAndSwap(seen, now) {
						break
					}
				}
				inside.Add(-1)
				leave()
			}
		})
	}
	all.Wait()
	if most.Load() > 3 || entered.Load() == 0 || len(h.by) > 0 {
		t.Errorf("%d were in at once, %d in all, and %v still are", most.Load(), entered.Load(), h.by)
	}
}
