package server

import (
	"context"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"

	"jackfield/internal/config"
)

// How long the configuration's files must have been left alone before a change is taken up: editors write in several steps.
const settleTime = 300 * time.Millisecond

// ReloadOn reloads at each hangup and, where the configuration says watch, when its files have changed, until ctx ends.
// What is wrong with a configuration goes to the log.
func (s *Server) ReloadOn(ctx context.Context, hangup <-chan struct{}) {
	directories := watched(s.generation().config)
	changed, stop := s.watch(directories)
	defer func() { stop() }()
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
		case <-changed:
		}
		next, stopNext := s.watch(directories) // before the files are read: what changes meanwhile is seen
		stop()
		s.reload()
		if now := watched(s.generation().config); !slices.Equal(now, directories) {
			stopNext()
			directories = now
			next, stopNext = s.watch(directories)
		}
		changed, stop = next, stopNext
	}
}

// watch returns a channel that is closed once files of the configuration in the directories have changed and settled; one
// that never is if there are none.
func (s *Server) watch(directories []string) (changed <-chan struct{}, stop func()) {
	if len(directories) == 0 {
		return nil, func() {}
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		s.log.Warn("the configuration's files are not watched", "error", err)
		return nil, func() {}
	}
	for _, directory := range directories {
		if err := watcher.Add(directory); err != nil {
			s.log.Warn("the configuration's files are not watched", "directory", directory, "error", err)
		}
	}
	files := s.generation().config.Files
	settled := make(chan struct{})
	go func() {
		if awaitSettled(watcher, files) {
			close(settled)
		}
	}()
	return settled, func() { watcher.Close() }
}

// watched are the directories of the configuration's files, and those in which a file may come to be included, if they are to
// be watched: a file that is replaced would be lost from sight.
func watched(c *config.Config) []string {
	if !c.Watch {
		return nil
	}
	directories := slices.Clone(c.Dirs)
	for _, file := range c.Files {
		directories = append(directories, filepath.Dir(file))
	}
	slices.Sort(directories)
	return slices.Compact(directories)
}

// awaitSettled waits for an event on one of the files, or on another that ends in .hcl, and for the quiet after it. It
// reports false if the watcher is closed meanwhile.
func awaitSettled(watcher *fsnotify.Watcher, files []string) bool {
	var quiet <-chan time.Time
	for {
		select {
		case event, open := <-watcher.Events:
			switch {
			case !open:
				return false
			case event.Has(fsnotify.Chmod):
			case filepath.Ext(event.Name) == ".hcl" || slices.Contains(files, event.Name):
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
