package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"jackfield/internal/config"
	"jackfield/internal/server"
)

func newCheck() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Find every mistake in a configuration file",
		Long: `Reads a configuration file, and those that it includes, as serve does, and prints every problem with its file, line and
source line. Exits 2 if there are errors; warnings alone leave 0. Nothing is started, resolved or connected to.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			c, problems := config.Load(given[0])
			found := problems.List()
			if c != nil {
				found = append(found, startProblems(c, given[0])...)
			}
			if asJSON {
				return errors.Join(printProblems(cmd.OutOrStdout(), found), badIf(found))
			}
			if err := problems.WriteText(cmd.OutOrStdout(), isTerminal(cmd.OutOrStdout())); err != nil {
				return err
			}
			for _, problem := range found[len(problems.List()):] {
				fmt.Fprintf(cmd.OutOrStdout(), "Error: %s\n\n%s\n\n", problem.Summary, problem.Detail)
			}
			if err := badIf(found); err != nil {
				return err
			}
			return printSummary(cmd.OutOrStdout(), c)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the problems as JSON")
	return cmd
}

// startProblems are the mistakes that a start of the server would find.
func startProblems(c *config.Config, path string) []config.Problem {
	var found []config.Problem
	for _, failure := range server.Check(c) {
		found = append(found, config.Problem{
			File: path, Severity: "error", Summary: "Cannot work on this machine", Detail: failure.Error(),
		})
	}
	return found
}

// badIf gives a check with errors its exit status.
func badIf(found []config.Problem) error {
	for _, problem := range found {
		if problem.Severity == "error" {
			return exitError(exitBad)
		}
	}
	return nil
}

func printProblems(w io.Writer, found []config.Problem) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(found)
}

func printSummary(w io.Writer, c *config.Config) error {
	parts := []string{count(len(c.Listeners), "listener"), count(len(c.Services), "service"), count(len(c.Stations), "station")}
	if len(c.Mappers) > 0 {
		parts = append(parts, count(len(c.Mappers), "mapper"))
	}
	if len(c.Devices) > 0 {
		parts = append(parts, count(len(c.Devices), "device"))
	}
	_, err := fmt.Fprintf(w, "ok: %s; %s\n", strings.Join(parts, ", "), roomForSessions())
	return err
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

func roomForSessions() string {
	sessions, descriptors := server.Room()
	if sessions == 0 {
		return "no limit on open descriptors"
	}
	return fmt.Sprintf("%d open descriptors leave room for %d sessions", descriptors, sessions)
}
