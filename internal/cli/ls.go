package cli

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"jackfield/internal/api"
	"jackfield/internal/client"
)

func newList() *cobra.Command {
	var flags loginFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "Show the services that you may use",
		Long: `Shows the services that you may use, whether each can be reached now (as far as the server watches it), how many sessions are
open with it, and the ways to it: "connect" stands for jackfield connect and forward, and HTTP CONNECT with other tools.
Administrators see all services, also those that the rules forbid them to use.`,
		Args: args(cobra.NoArgs),
		RunE: flags.withLogin(func(cmd *cobra.Command, _ []string, server *client.Server) error {
			services, err := server.API.Services(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), services)
			}
			return printServices(cmd.OutOrStdout(), services, server.Host())
		}),
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printServices(w io.Writer, services []api.Service, host string) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SERVICE\tSTATE\tSESSIONS\tREACH")
	for _, s := range services {
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\n", s.Name, s.State, s.Sessions, orDash(strings.Join(ways(s.Reach, host), ", ")))
	}
	return table.Flush()
}

// ways says how to reach a service, the way by this program first.
func ways(reach []api.Reach, host string) []string {
	var all []string
	for _, r := range reach {
		way := r.Protocol + " " + net.JoinHostPort(reachable(r.Address, host), strconv.Itoa(r.Port))
		if r.Protocol == "https" || r.Protocol == "http" {
			way = "connect"
		}
		if slices.Contains(all, way) {
			continue
		}
		all = append(all, way)
	}
	slices.SortStableFunc(all, func(a, b string) int {
		switch {
		case a == "connect":
			return -1
		case b == "connect":
			return 1
		}
		return 0
	})
	return all
}

// reachable is the address of a listener as clients know it: all addresses of the server are the one by which it was asked.
func reachable(address, host string) string {
	if parsed, err := netip.ParseAddr(address); address == "" || err == nil && parsed.IsUnspecified() {
		return host
	}
	return address
}
