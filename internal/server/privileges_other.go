//go:build !unix

package server

import (
	"errors"

	"jackfield/internal/config"
)

// becomeUser refuses: changing the user needs Unix.
func becomeUser(c *config.Config) error {
	if c.Program.User != "" || c.Program.Group != "" {
		return errors.New(`"user" and "group" need Unix`)
	}
	return nil
}

func explainBind(err error, _ *config.Config) error { return err }
