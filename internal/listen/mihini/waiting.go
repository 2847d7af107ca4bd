package mihini

import (
	"net/netip"
	"sync"
)

// waiting counts the connections that have not sent LISTEN yet, so that one address cannot keep the devices of others out.
type waiting struct {
	mu   sync.Mutex
	all  int
	each map[netip.Addr]int
}

// enter takes a place, which leave gives back, if there is one.
func (w *waiting) enter(a netip.Addr) (leave func(), entered bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all >= MaxWaiting || w.each[a] >= MaxWaitingEach {
		return nil, false
	}
	if w.each == nil {
		w.each = make(map[netip.Addr]int)
	}
	w.all++
	w.each[a]++
	return func() { w.leave(a) }, true
}

// count returns how many places are taken.
func (w *waiting) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all
}

func (w *waiting) leave(a netip.Addr) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all--
	if w.each[a]--; w.each[a] == 0 {
		delete(w.each, a)
	}
}
