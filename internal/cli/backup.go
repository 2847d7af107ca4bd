package cli

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"jackfield/internal/api"
)

func newBackup() *cobra.Command {
	var flags adminFlags
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write all that the server keeps to a file",
		Long: `Writes users, tokens, certificates and the key of the certificate authority to a file, while the server runs. Not in it are the
configuration and the audit.

Whoever has the file can make certificates that the server accepts: it is made for its owner alone. It must not be there yet.
"-" is standard output.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: flags.withServer(func(cmd *cobra.Command, given []string, server *api.Client) error {
			if given[0] == "-" {
				return server.Backup(cmd.Context(), cmd.OutOrStdout())
			}
			return backupTo(cmd, server, given[0])
		}),
	}
	flags.add(cmd)
	return cmd
}

// backupTo leaves no file that is not whole.
func backupTo(cmd *cobra.Command, server *api.Client, path string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s is there already: name another file", path)
	}
	if err != nil {
		return err
	}
	err = server.Backup(cmd.Context(), file)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		os.Remove(path)
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s written; it holds secrets: keep it where nobody else reads it\n", path)
	return nil
}

func newRestore() *cobra.Command {
	var flags adminFlags
	var yes bool
	cmd := &cobra.Command{
		Use:   "restore FILE --yes",
		Short: "Put a backup back",
		Long: `Replaces all that the server keeps by what a backup holds, while the server runs: what is not in it is gone. Users and tokens
that it does not have are cut off at once. What was revoked since the backup is good again: revoke it once more. A file that is damaged or not whole changes nothing. "-" is standard input.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: flags.withServer(func(cmd *cobra.Command, given []string, server *api.Client) error {
			if !yes {
				return usageError{errors.New("restore replaces all users, tokens and certificates: say --yes if that is meant")}
			}
			var from io.Reader = cmd.InOrStdin()
			if given[0] != "-" {
				file, err := os.Open(given[0])
				if err != nil {
					return err
				}
				defer file.Close()
				from = file
			}
			if err := server.Restore(cmd.Context(), from); err != nil {
				return err
			}
			_, err := fmt.Fprintln(cmd.ErrOrStderr(), "restored; what was revoked since the backup is good again: revoke it once more")
			return err
		}),
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&yes, "yes", false, "replace what is there")
	return cmd
}
