package link

import (
	"context"
	"sync"
)

// watchers are told that something has changed. The zero value has none.
type watchers struct {
	mu  sync.Mutex
	all map[chan struct{}]struct{} // guarded by mu; each has room for one
}

// watch has f called, in a goroutine of its own, at once and after each call of tell, until ctx ends. Calls may be fewer than that.
func (w *watchers) watch(ctx context.Context, f func()) {
	changed := make(chan struct{}, 1)
	changed <- struct{}{}
	w.mu.Lock()
	if w.all == nil {
		w.all = make(map[chan struct{}]struct{})
	}
	w.all[changed] = struct{}{}
	w.mu.Unlock()
	go func() {
		defer w.forget(changed)
		for {
			select {
			case <-ctx.Done():
				return
			case <-changed:
				f()
			}
		}
	}()
}

func (w *watchers) tell() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for changed := range w.all {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
}

func (w *watchers) forget(changed chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.all, changed)
}
