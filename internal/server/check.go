package server

import (
	"jackfield/internal/access"
	"jackfield/internal/config"
	"jackfield/internal/route/command"
)

// Check finds what only the parts themselves know to be wrong with a configuration, such as a program that is not there.
// Nothing is started, resolved or connected to.
func Check(c *config.Config) []error {
	b := builder{limits: new(access.LimitTable), launcher: new(command.Launcher)} // starts nothing
	g, _ := b.build(c)
	return g.failures
}
