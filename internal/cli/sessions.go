package cli

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"jackfield/internal/api"
)

func newSessions() *cobra.Command {
	var flags serverFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "sessions",
		Short: "Show the sessions that are open now",
		Long:  `Shows the sessions that are open now: all of them to administrators, and their own to others.`,
		Args:  args(cobra.NoArgs),
		RunE: flags.withServer(func(cmd *cobra.Command, _ []string, server *api.Client) error {
			sessions, err := server.Sessions(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), sessions)
			}
			return printSessions(cmd.OutOrStdout(), sessions, time.Now())
		}),
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
			bytesCount(s.BytesFromClient), bytesCount(s.BytesFromService), orDash(s.Route))
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
	var flags serverFlags
	var reason string
	cmd := &cobra.Command{
		Use:   "disconnect ID...",
		Short: "Cut sessions",
		Long: `Cuts the sessions with the given ids (see "jackfield sessions"): administrators any, others their own. Both of a session's
connections are reset, and its audit record says who disconnected it: an administrator, or its user.`,
		Args:              args(cobra.MinimumNArgs(1)),
		ValidArgsFunction: once(completeSessions(&flags)),
		RunE: flags.withServer(func(cmd *cobra.Command, ids []string, server *api.Client) error {
			return forEach(cmd, ids, "disconnected", func(id string) error { return server.Disconnect(cmd.Context(), id, reason) })
		}),
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit")
	return cmd
}
