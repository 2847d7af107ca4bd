// Package cli is the command line: its commands, their flags, what they print, their exit statuses, the log at the terminal
// and the signals. What "jackfield serve" runs is internal/server.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"jackfield/internal/api"
)

// The exit statuses of every command.
const (
	exitFailure     = 1
	exitBad         = 2   // wrong usage, or a configuration with mistakes
	exitInterrupted = 130 // a client that was told to stop, as shells have it
)

// Main runs the command that the process's arguments name and returns the process's exit status.
func Main() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	root := newRoot()
	err := root.ExecuteContext(ctx)
	if err != nil && ctx.Err() != nil {
		return exitInterrupted
	}
	return exitStatus(root.ErrOrStderr(), err)
}

// An exitError ends the process with a status of its own. What there was to say has been said.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// A usageError is a command line that cannot be meant.
type usageError struct{ error }

func exitStatus(stderr io.Writer, err error) int {
	var status exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	}
	fmt.Fprintf(stderr, "jackfield: %s\n", api.VisibleLines(err.Error()))
	if errors.As(err, new(usageError)) {
		return exitBad
	}
	return exitFailure
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "jackfield",
		Short: "Gives every TCP service a name and lets the right people reach it",
		Long: `Jackfield gives every TCP service a name and lets the right people reach it,
through one server, with rules, limits and an audit record for every stream.

Start with "jackfield demo".`,
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          args(cobra.NoArgs),
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w (see %s --help)", err, cmd.CommandPath())}
	})
	root.AddCommand(
		newServe(), newDemo(), newCheck(), newReload(),
		newLogin(), newLogout(), newStatus(), newContext(), newList(), newConnect(), newForward(), newAudit(), newSSHConfig(),
		newSessions(), newDisconnect(), newDevices(), newAgent(), newWhy(),
		newUser(), newToken(), newCertificate(), newBackup(), newRestore(),
		newTCPMUX(), newMapper(), newMihini(), newInedo(), newImport(), newCompletion(), newVersion(), newMan(),
	)
	return root
}

// atMostOne makes flags that contradict each other a usage error.
func atMostOne(cmd *cobra.Command, flags ...string) error {
	given := slices.DeleteFunc(slices.Clone(flags), func(f string) bool { return !cmd.Flags().Changed(f) })
	if len(given) < 2 {
		return nil
	}
	return usageError{fmt.Errorf("--%s contradict each other", strings.Join(given, " and --"))}
}

// args makes a wrong number of arguments a usage error.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		err := check(cmd, given)
		switch {
		case err == nil:
			return nil
		case cmd.HasAvailableSubCommands():
			return usageError{fmt.Errorf("%w (%s)", err, hint(cmd, given[0]))}
		}
		return usageError{fmt.Errorf("%w (usage: %s)", err, cmd.UseLine())}
	}
}

// hint says what else could be meant by a command that there is none of.
func hint(cmd *cobra.Command, unknown string) string {
	help := fmt.Sprintf("see %s --help", cmd.CommandPath())
	cmd.SuggestionsMinimumDistance = 2 // cobra's own default, which SuggestionsFor does not set
	if like := cmd.SuggestionsFor(unknown); len(like) > 0 {
		return fmt.Sprintf("did you mean %s? Or %s", strings.Join(like, ", "), help)
	}
	return help
}
