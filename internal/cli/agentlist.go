package cli

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"jackfield/internal/api"
)

func newAgentList() *cobra.Command {
	var flags serverFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "Show the agents and whether they are connected",
		Args:    args(cobra.NoArgs),
		RunE: flags.withServer(func(cmd *cobra.Command, _ []string, server *api.Client) error {
			agents, err := server.Agents(cmd.Context())
			switch {
			case err != nil:
				return err
			case asJSON:
				return printJSON(cmd.OutOrStdout(), agents)
			}
			return printAgents(cmd.OutOrStdout(), agents, time.Now())
		}),
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printAgents(w io.Writer, agents []api.Agent, now time.Time) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "AGENT\tSTATE\tSINCE\tSOURCE\tLATENCY\tSERVICES\tSTREAMS\tRATE\tVERSION")
	for _, a := range agents {
		since, source, latency, services, streams, rate := "-", "-", "-", "-", "-", "-"
		if !a.Since.IsZero() {
			since = now.Sub(a.Since).Round(time.Second).String()
			services = fmt.Sprint(len(a.Services))
			streams = fmt.Sprint(a.Streams)
		}
		if a.Source != nil {
			source = a.Source.String()
		}
		if a.Latency > 0 {
			latency = latencyOf(a)
		}
		if a.Rate != nil {
			rate = bytesCount(int64(a.Rate.FromClient+a.Rate.FromService)) + "/s"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", a.Name, agentState(a, now), since, source, latency, services, streams, rate,
			orDash(visible(a.Version)))
	}
	return table.Flush()
}

// agentState tells, too, of a token that nobody has come with in time.
func agentState(a api.Agent, now time.Time) string {
	if a.State == api.AgentWaiting && now.After(a.WaitingUntil) {
		return "expired"
	}
	return string(a.State)
}

func latencyOf(a api.Agent) string {
	return time.Duration(a.Latency * float64(time.Second)).Round(10 * time.Microsecond).String()
}

func newAgentShow() *cobra.Command {
	var flags serverFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show NAME",
		Short: "Show all that is known of an agent",
		Args:  args(cobra.ExactArgs(1)),
		RunE: flags.withServer(func(cmd *cobra.Command, given []string, server *api.Client) error {
			agent, err := server.Agent(cmd.Context(), given[0])
			switch {
			case err != nil:
				return err
			case asJSON:
				return printJSON(cmd.OutOrStdout(), agent)
			}
			return printAgent(cmd.OutOrStdout(), agent, time.Now())
		}),
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printAgent(w io.Writer, a api.Agent, now time.Time) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(table, "%s\t%s\n", name, value)
		}
	}
	moment := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.Local().Format(time.DateTime)
	}
	line("Agent", a.Name)
	line("State", agentState(a, now))
	if a.Inbound {
		line("Enrolled", "no: it is in the configuration, and the server connects to it")
	} else {
		line("Owner", cmp.Or(a.Owner, "nobody"))
		line("May offer", cmp.Or(strings.Join(a.Offers, ", "), "what the configuration says"))
		line("Created", strings.TrimSuffix(moment(a.Created)+" by "+a.CreatedBy, " by "))
		line("Joined", moment(a.Enrolled))
		line("Token until", moment(a.WaitingUntil))
		line("Certificate", a.Serial)
	}
	if !a.Since.IsZero() {
		line("Version", visible(a.Version))
		line("Platform", visible(a.Platform))
		if a.Source != nil {
			line("Source", a.Source.String())
		}
		line("Listener", a.Listener)
		line("Since", moment(a.Since))
		if a.Latency > 0 {
			line("Latency", latencyOf(a))
		}
		line("Streams", fmt.Sprintf("%d open, %d since it connected, %d connections ready for more", a.Streams, a.Opened, a.Ready))
		line("Bytes", fmt.Sprintf("%s from clients, %s from services", bytesCount(a.BytesFromClients), bytesCount(a.BytesFromServices)))
		if a.Rate != nil {
			line("Rate", fmt.Sprintf("%s/s from clients, %s/s from services",
				bytesCount(int64(a.Rate.FromClient)), bytesCount(int64(a.Rate.FromService))))
		}
	}
	for _, s := range a.Services {
		state := "published"
		if !s.Published {
			state = "not published: " + s.Reason
		}
		line("Service", strings.TrimSuffix(visible(s.Name+": "+state+" ("+s.Description+")"), " ()"))
	}
	return table.Flush()
}
