package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"jackfield/internal/config"
	"jackfield/internal/gateway"
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
			if err := printProblems(cmd.OutOrStdout(), problems, asJSON); err != nil {
				return err
			}
			if c == nil {
				return exitError(exitBad)
			}
			if _, err := build(c, &gateway.Gateway{}, slog.New(slog.DiscardHandler)); err != nil {
				return usageError{err}
			}
			if !asJSON {
				return printSummary(cmd.OutOrStdout(), c)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the problems as JSON")
	return cmd
}

func printProblems(w io.Writer, problems *config.Problems, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(problems.List())
	}
	return problems.WriteText(w, isTerminal(w))
}

func printSummary(w io.Writer, c *config.Config) error {
	_, err := fmt.Fprintf(w, "ok: %d listeners, %d services, %d stations; %s\n",
		len(c.Listeners), len(c.Services), len(c.Stations), roomForSessions())
	return err
}

func roomForSessions() string {
	descriptors := descriptorLimit()
	allowed := sessionsAllowed(descriptors)
	if allowed == 0 {
		return "no limit on open descriptors"
	}
	return fmt.Sprintf("%d open descriptors leave room for %d sessions", descriptors, allowed)
}
