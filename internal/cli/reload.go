package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"jackfield"
)

func newReload() *cobra.Command {
	var flags adminFlags
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Have the server read its configuration again",
		Long: `Has the server read its configuration file again. Sessions that run go on, and no connection is lost. If the file has
mistakes, they are printed and nothing changes. SIGHUP does the same, and the mistakes go to the server's log.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := flags.client()
			if err != nil {
				return err
			}
			reloaded, err := client.Reload(cmd.Context())
			if err != nil {
				return badConfig(cmd.ErrOrStderr(), err)
			}
			fmt.Fprint(cmd.ErrOrStderr(), reloaded.Warnings)
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "configuration %d is at work\n", reloaded.Generation)
			if reloaded.Cut > 0 {
				fmt.Fprintf(cmd.OutOrStdout(), "%d sessions that it forbids were cut\n", reloaded.Cut)
			}
			return err
		},
	}
	flags.add(cmd)
	return cmd
}

// badConfig shows what is wrong with a configuration as check does, and gives it the same exit status.
func badConfig(w io.Writer, err error) error {
	var refusal *jackfield.Error
	if !errors.As(err, &refusal) || refusal.Kind != jackfield.Invalid {
		return err
	}
	fmt.Fprintln(w, refusal.Message)
	return exitError(exitBad)
}
