package server

import (
	"context"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"

	"jackfield/internal/config"
)

// How long the configuration's files must have been left alone before a change is taken up: editors write in several steps.
const settleTime = 300 * time.Millisecond

// ReloadOn reloads at each hangup and, where the configuration says watch, when its files have changed, until ctx ends.
// What is wrong with a configuration goes to the log.
func (s *Server) ReloadOn(ctx context.Context, hangup <-chan struct{}) {
	changed, stop := s.watch(findPlaces(s.generation().config))
	defer func() { stop() }()
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
		case <-changed:
		}
		stop()
		changed, stop = s.reloadWatched()
	}
}

// reloadWatched reloads and watches what was read. The watch begins before the files are read: what changes meanwhile is
// seen.
func (s *Server) reloadWatched() (changed <-chan struct{}, stop func()) {
	for p := s.nextPlaces(); ; {
		changed, stop = s.watch(p)
		_, err := s.reload()
		now := findPlaces(s.generation().config)
		if err != nil || now.equal(p) {
			return changed, stop
		}
		stop() // they changed before the watch began
		p = now
	}
}

// nextPlaces are the places of the files as they are now or, if these are wrong, of the configuration at work.
func (s *Server) nextPlaces() places {
	if c, _ := config.Reload(s.path); c != nil {
		return findPlaces(c)
	}
	return findPlaces(s.generation().config)
}

// watch returns a channel that is closed once files of the configuration have changed and settled; one that never is if
// there are no places to look at.
func (s *Server) watch(p places) (changed <-chan struct{}, stop func()) {
	if len(p.directories) == 0 {
		return nil, func() {}
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		s.log.Warn("the configuration's files are not watched", "error", err)
		return nil, func() {}
	}
	for _, directory := range p.directories {
		if err := watcher.Add(directory); err != nil {
			s.log.Warn("the configuration's files are not watched", "directory", directory, "error", err)
		}
	}
	settled := make(chan struct{})
	go func() {
		if awaitSettled(watcher, p) {
			close(settled)
		}
	}()
	return settled, func() { watcher.Close() }
}

// awaitSettled waits for an event on one of the places, or on another file that ends in .hcl, and for the quiet after it. It
// reports false if the watcher is closed meanwhile.
func awaitSettled(watcher *fsnotify.Watcher, p places) bool {
	var quiet <-chan time.Time
	for {
		select {
		case event, open := <-watcher.Events:
			switch {
			case !open:
				return false
			case event.Has(fsnotify.Chmod):
			case filepath.Ext(event.Name) == ".hcl" || p.has(event.Name):
				quiet = time.After(settleTime)
			}
		case _, open := <-watcher.Errors:
			if !open {
				return false
			}
			quiet = time.After(settleTime) // events were lost: look
		case <-quiet:
			return true
		}
	}
}
