package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"jackfield/internal/api"
)

func newSessions() *cobra.Command {
	var flags adminFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "sessions",
		Short: "Show the sessions that are open now",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := flags.client()
			if err != nil {
				return err
			}
			sessions, err := client.Sessions(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(sessions)
			}
			return printSessions(cmd.OutOrStdout(), sessions, time.Now())
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printSessions(w io.Writer, sessions []api.Session, now time.Time) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tSERVICE\tLISTENER\tSOURCE\tUSER\tAGE\tFROM CLIENT\tFROM SERVICE\tROUTE")
	for _, s := range sessions {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			s.ID, s.Service, s.Listener, s.Source, orDash(s.User), now.Sub(s.Started).Round(time.Second),
			bytesCount(s.BytesFromClient), bytesCount(s.BytesFromService), s.Route)
	}
	return table.Flush()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// bytesCount writes a number of bytes for people, with binary prefixes.
func bytesCount(n int64) string {
	const step = 1 << 10
	if n < step {
		return fmt.Sprintf("%d B", n)
	}
	value, prefixes := float64(n)/step, "KMGTPE"
	for value >= step {
		value, prefixes = value/step, prefixes[1:]
	}
	return fmt.Sprintf("%.1f %ciB", value, prefixes[0])
}

func newDisconnect() *cobra.Command {
	var flags adminFlags
	cmd := &cobra.Command{
		Use:   "disconnect ID...",
		Short: "Cut sessions",
		Long: `Cuts the sessions with the given ids (see "jackfield sessions"). Both of a session's connections are reset, and its
audit record says that it was disconnected by an administrator.`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, ids []string) error {
			client, err := flags.client()
			if err != nil {
				return err
			}
			var failures []error
			for _, id := range ids {
				if err := client.Disconnect(cmd.Context(), id, ""); err != nil {
					failures = append(failures, fmt.Errorf("%s: %w", id, err))
					continue
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s disconnected\n", id)
			}
			return errors.Join(failures...)
		},
	}
	flags.add(cmd)
	return cmd
}
