package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// Signals of a server, from its start on.
type signals struct {
	stop   context.Context // done at the first SIGINT or SIGTERM
	cutNow chan struct{}   // closed at the second
	hangup chan struct{}   // one token for each SIGHUP, as long as there is room: reloads that wait are one
	done   func()
}

// surviveBrokenPipes keeps a log or output that nobody reads any more from ending the process. The signal is not ignored:
// programs that are started would inherit that.
func surviveBrokenPipes() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }

// watchSignals takes the process's signals over, until done is called.
func watchSignals() *signals {
	stop, cancel := context.WithCancel(context.Background())
	s := &signals{stop: stop, cutNow: make(chan struct{}), hangup: make(chan struct{}, 1)}
	incoming := make(chan os.Signal, 8)
	signal.Notify(incoming, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		stops := 0
		for sig := range incoming {
			if sig == syscall.SIGHUP {
				s.reload()
				continue
			}
			if stops++; stops == 2 {
				close(s.cutNow)
			}
			cancel()
		}
	}()
	s.done = func() {
		signal.Stop(incoming)
		close(incoming)
		<-finished
		cancel()
	}
	return s
}

func (s *signals) reload() {
	select {
	case s.hangup <- struct{}{}:
	default:
	}
}
