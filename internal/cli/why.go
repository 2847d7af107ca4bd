package cli

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"jackfield"
	"jackfield/internal/api"
)

func newWhy() *cobra.Command {
	var flags serverFlags
	var q api.Question
	var from, at string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "why SERVICE",
		Short: "Show every check that a client of a service would meet",
		Long: `Shows what would become of a client that asked for the service now: every check in the order in which it is made, what it
says, and the rule that says it. Nothing is opened and no place is taken. Where several listeners publish the service,
--listener says which one is meant. With --user alone, the user's groups are those that the server knows; with any --group, they
are those that are given, and no others.

With --mapper the mapper programs are asked, too; an answer that is kept (cache) is used, and a new one is kept; and they go by
their own clock, whatever --at says.

Exits 1 if the client would be denied.`,
		Example: `  jackfield why --from 10.9.0.7 --listener mux web
  jackfield why --from 10.9.0.7 --user ann --group lab --at 2026-11-23T03:00:00Z console.fpga-1`,
		Args:              args(cobra.ExactArgs(1)),
		ValidArgsFunction: first(completeServices(&flags)),
		PreRunE: func(_ *cobra.Command, given []string) (err error) {
			q.Service = given[0]
			if q.Source, err = netip.ParseAddr(from); err != nil {
				return usageError{fmt.Errorf("--from must be the client's IP address, such as 192.0.2.7")}
			}
			if at != "" {
				if q.Time, err = time.Parse(time.RFC3339, at); err != nil {
					return usageError{fmt.Errorf("--at must be a time such as 2026-11-23T03:00:00Z")}
				}
			}
			return nil
		},
		RunE: flags.withServer(func(cmd *cobra.Command, _ []string, server *api.Client) error {
			explanation, err := server.Why(cmd.Context(), q)
			if err != nil {
				return withListener(q, err)
			}
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), explanation)
			} else {
				err = printExplanation(cmd.OutOrStdout(), explanation)
			}
			if err == nil && explanation.Verdict == "denied" {
				return exitError(exitFailure)
			}
			return err
		}),
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&from, "from", "127.0.0.1", "the client's address")
	cmd.Flags().StringVar(&q.Listener, "listener", "", "the listener it comes to (needed if several publish the service)")
	cmd.Flags().StringVar(&q.User, "user", "", "the user it has proved to be (default: nobody in particular)")
	cmd.Flags().StringArrayVar(&q.Groups, "group", nil, "a group the user is in (default: those of --user that the server knows); may be given again")
	cmd.Flags().StringVar(&at, "at", "", "when it comes (default: now)")
	cmd.Flags().BoolVar(&q.Mappers, "mapper", false, "ask the mappers, which starts programs")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// withListener names the flag to a question that is well formed and yet not clear: several listeners publish the service.
func withListener(q api.Question, err error) error {
	_, misnamed := jackfield.ParseName(q.Service)
	var refusal *jackfield.Error
	if q.Listener == "" && misnamed == nil && errors.As(err, &refusal) && refusal.Kind == jackfield.Invalid {
		return fmt.Errorf("%w (with --listener)", err)
	}
	return err
}

var verdicts = map[string]string{
	"allowed":   "would be let in",
	"denied":    "would be denied",
	"undecided": "would be let in if the mapper allows (ask it with --mapper)",
}

func printExplanation(w io.Writer, e api.Explanation) error {
	fmt.Fprintf(w, "%s by listener %s %s\n\n", e.Service, e.Listener, verdicts[e.Verdict])
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "STEP\tPLACE\tCHECK\tOUTCOME\tBY\tREASON")
	for _, c := range e.Checks {
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\n", c.Step, c.Place, c.Subject, c.Outcome, orDash(c.By), orDash(c.Reason))
	}
	return table.Flush()
}
