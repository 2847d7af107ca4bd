package server

import (
	"log/slog"

	"jackfield/internal/access"
	"jackfield/internal/access/mapper"
	"jackfield/internal/config"
	"jackfield/internal/link"
	"jackfield/internal/route/command"
)

// Check finds what only the parts themselves know to be wrong with a configuration, such as a program that is not there.
// Nothing is started, resolved or connected to.
func Check(c *config.Config) []error {
	b := builder{ // starts nothing
		limits:   new(access.LimitTable),
		devices:  link.NewDevices(),
		agents:   link.NewAgents(),
		mappers:  &mapper.Table{Log: slog.New(slog.DiscardHandler)},
		launcher: new(command.Launcher),
		log:      slog.New(slog.DiscardHandler),
	}
	g, _ := b.build(c)
	return g.failures
}
