package cli

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"jackfield/internal/api"
)

func newDevices() *cobra.Command {
	var flags serverFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "devices",
		Short: "Show the devices and whether they are connected",
		Args:  args(cobra.NoArgs),
		RunE: flags.withServer(func(cmd *cobra.Command, _ []string, server *api.Client) error {
			devices, err := server.Devices(cmd.Context())
			switch {
			case err != nil:
				return err
			case asJSON:
				return printJSON(cmd.OutOrStdout(), devices)
			}
			return printDevices(cmd.OutOrStdout(), devices, time.Now())
		}),
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printDevices(w io.Writer, devices []api.Device, now time.Time) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "DEVICE\tSTATE\tSINCE\tLISTENER\tSOURCE\tSTREAMS\tERRORS")
	for _, d := range devices {
		if !d.Connected {
			fmt.Fprintf(table, "%s\taway\t-\t-\t-\t-\t-\n", d.Name)
			continue
		}
		fmt.Fprintf(table, "%s\tconnected\t%s\t%s\t%s\t%d\t%d\n",
			d.Name, now.Sub(*d.Since).Round(time.Second), d.Listener, d.Source, d.Streams, d.ProtocolErrors)
	}
	return table.Flush()
}
