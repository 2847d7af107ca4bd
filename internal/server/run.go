package server

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"jackfield/internal/link"
)

// How long requests on the admin ports may still take when the server stops.
const adminGrace = time.Second

// Run serves until ctx ends, then stops: what runs may go on for the drain_timeout, or until cutNow is closed, and is cut
// then. Its error says what stopped the server before ctx did. The server is closed when it returns.
func (s *Server) Run(ctx context.Context, cutNow <-chan struct{}) error {
	defer s.Close()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var admins sync.WaitGroup
	for _, a := range s.admins {
		admins.Go(func() {
			if err := a.Serve(); err != nil {
				fail(fmt.Errorf("admin: %w", err))
			}
		})
		s.log.Info("listening", "listener", "admin", "protocol", "http", "address", a.Addr().String())
	}
	s.ready.Store(true)
	notifyReady()
	stopWatchdog := feedWatchdog()
	s.log.Info("serving", "version", s.version, "instance", s.instance.run())

	<-ctx.Done()
	s.ready.Store(false)
	notifyStopping()
	s.api.Stop("the server is stopping")
	s.drain(cutNow)
	s.shutdownAdmin()
	admins.Wait()
	stopWatchdog()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// drain stops accepting and waits for the sessions that run, for a time.
func (s *Server) drain(cutNow <-chan struct{}) {
	timeout := s.generation().config.DrainTimeout
	s.log.Info("stopping", "sessions", s.sessions.Len(), "drain_timeout", timeout.String())
	s.stopAccepting()
	s.running.Go(s.generation().retire) // connections without a request would be waited for
	served := make(chan struct{})
	go func() { s.sockets.Wait(); close(served) }()
	s.awaitSessions(served, cutNow, timeout)
	if left := s.sessions.Len(); left > 0 {
		s.log.Warn("cutting sessions", "sessions", left)
	}
	s.cut(errStopping)
	<-served
	s.log.Info("stopped")
}

// How often it is looked, while the server stops, whether sessions are left; and how long connections without one are waited for.
const (
	drainLook  = 50 * time.Millisecond
	drainGrace = time.Second
)

// awaitSessions returns when all is served, or nothing is left but links, which end only when they are cut, and connections that
// have no session: they may finish what they have begun for drainGrace.
func (s *Server) awaitSessions(served, cutNow <-chan struct{}, timeout time.Duration) {
	patience := time.NewTimer(timeout)
	defer patience.Stop()
	look := time.NewTicker(drainLook)
	defer look.Stop()
	begun := time.Now()
	for {
		select {
		case <-served:
			return
		case <-patience.C:
			return
		case <-cutNow:
			return
		case <-look.C:
			if s.sessions.Len() > 0 {
				continue
			}
			if time.Since(begun) >= drainGrace {
				return
			}
			s.devices.Cut(func(link.Arrival) error { return errStopping })
		}
	}
}

// stopAccepting closes all ports for good.
func (s *Server) stopAccepting() {
	s.mu.Lock()
	s.stopping = true
	s.mu.Unlock()
	s.sockets.StopAccepting()
}

func (s *Server) shutdownAdmin() {
	ctx, cancel := context.WithTimeout(context.Background(), adminGrace)
	defer cancel()
	for _, a := range s.admins {
		if err := a.Shutdown(ctx); err != nil {
			s.log.Warn("admin requests were cut", "error", err)
		}
	}
	s.admins = nil
}
