package server

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"jackfield"
	"jackfield/internal/api"
	"jackfield/internal/config"
)

// reload reads the configuration again and puts it to work. Its error says all that is wrong, and nothing has changed
// then.
func (s *Server) reload() (api.Reloaded, error) {
	notifyReloading()
	defer notifyReady()
	reloaded, err := s.tryReload()
	if err != nil {
		s.log.Error("configuration not reloaded, the one before stays at work", "error", err)
		return api.Reloaded{}, err
	}
	s.log.Info("configuration reloaded", "generation", reloaded.Generation, "cut", reloaded.Cut)
	return reloaded, nil
}

func (s *Server) tryReload() (api.Reloaded, error) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	next, problems := config.Reload(s.path)
	var text strings.Builder
	if err := problems.WriteText(&text, false); err != nil {
		return api.Reloaded{}, err
	}
	if next == nil {
		return api.Reloaded{}, errors.New(strings.TrimSpace(text.String()))
	}
	if fixed := s.generation().config.FixedChanges(next); len(fixed) > 0 {
		return api.Reloaded{}, fmt.Errorf("these need a restart of the server: %s", strings.Join(fixed, ", "))
	}
	if err := s.install(next); err != nil {
		return api.Reloaded{}, err
	}
	s.hub.Publish(api.Event{Type: api.ConfigurationReloaded, Subject: strconv.Itoa(s.number)})
	return api.Reloaded{Generation: s.number, Cut: s.cutForbidden(), Warnings: text.String()}, nil
}

// cutForbidden cuts the sessions that the rules now in force forbid, if that is wanted.
func (s *Server) cutForbidden() int {
	g := s.generation()
	if !g.config.CutOnReload {
		return 0
	}
	return s.sessions.CutForbidden(func(r jackfield.Request) error {
		listener := g.listeners[r.Listener]
		if listener == nil {
			return errors.New("there is no such listener any more")
		}
		return g.gateway.Allows(context.Background(), listener, r)
	})
}
