package link

import (
	"context"
	"sync"
)

// watchers are told that something has changed. The zero value has none.
type watchers struct {
	mu  sync.Mutex
	all []func() // guarded by mu; none of them waits
}

// watch has f called, in a goroutine of its own, at once and after each call of tell, until ctx ends. Calls may be fewer than that.
func (w *watchers) watch(ctx context.Context, f func()) {
	changed := make(chan struct{}, 1)
	changed <- struct{}{}
	w.mu.Lock()
	w.all = append(w.all, func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	w.mu.Unlock()
	go func() {
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
	for _, watcher := range w.all {
		watcher()
	}
}
