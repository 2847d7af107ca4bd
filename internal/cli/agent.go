package cli

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"jackfield/internal/api"
)

func newAgent() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "Run an agent, enrol agents, and see to them",
		Long: `An agent is a machine that offers services: "jackfield agent run" on it keeps a link to the server, which needs no open port and
no address. It is enrolled on the server once, which gives a token, and joins with it:

  server$ jackfield agent enroll edge-7 --offer 'ssh.edge-7'
  edge-7$ jackfield agent join --server https://jackfield.example.org --token-stdin
  edge-7$ jackfield agent run`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newAgentEnroll(), newAgentJoin(), newAgentRun(), newAgentList(), newAgentShow(), newAgentRename(), newAgentRemove(),
		newAgentDrain(), newAgentReload(), newAgentTunnel(),
	)
	return cmd
}

func newAgentEnroll() *cobra.Command {
	var flags serverFlags
	var offers []string
	var owner string
	var lifetime time.Duration
	var again, asJSON bool
	cmd := &cobra.Command{
		Use:   "enroll NAME",
		Short: "Enrol an agent: make the token by which it joins",
		Long: `Enrols an agent, and prints the token by which it joins ("jackfield agent join" on its machine). The token is good once, and is
shown this once. Said again before the agent has joined, the token from before is void.

What the agent may offer are services whose names match one of the patterns, here or in its block of the configuration; unless you
say otherwise, those that have its name as their station, such as ssh.edge-7. Who may use them, the block says; without one, the
owner and administrators may.

With --again, an agent that has joined already joins anew, be it on another machine: its certificate is good until then.`,
		Example: `  jackfield agent enroll edge-7 --offer 'ssh.edge-7' --offer 'console.*' --owner ada
  jackfield agent enroll edge-7 --again --expires 24h`,
		Args: args(cobra.ExactArgs(1)),
		RunE: flags.withServer(func(cmd *cobra.Command, given []string, server *api.Client) error {
			n := api.NewAgent{Name: given[0], Lifetime: api.Duration(lifetime), Again: again}
			if cmd.Flags().Changed("offer") {
				n.Offers = &offers
			}
			if cmd.Flags().Changed("owner") {
				n.Owner = &owner
			}
			made, err := server.EnrollAgent(cmd.Context(), n)
			switch {
			case err != nil:
				return err
			case asJSON:
				return printJSON(cmd.OutOrStdout(), made)
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "Token for %s, good once, until %s. It is not shown again; on the machine, give it to\n"+
				"jackfield agent join --server URL --token-stdin:\n", made.Agent.Name, made.Expires.Local().Format(time.DateTime))
			fmt.Fprintln(cmd.OutOrStdout(), made.Token)
			return nil
		}),
	}
	flags.add(cmd)
	cmd.Flags().StringArrayVar(&offers, "offer", nil, "a pattern of the services that it may offer, such as 'console.*' or '*'; may be given again (default: as before, or '*.NAME')")
	cmd.Flags().StringVar(&owner, "owner", "", "the user who may use what it offers where the configuration says nothing (default: as before, or you)")
	cmd.Flags().DurationVar(&lifetime, "expires", 0, "how long the token is good (default 1h, at most 168h)")
	cmd.Flags().BoolVar(&again, "again", false, "it has joined already, and shall join anew")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newAgentRename() *cobra.Command {
	var flags serverFlags
	cmd := &cobra.Command{
		Use:   "rename NAME NEW-NAME",
		Short: "Give an agent another name",
		Long: `Gives an agent another name. It keeps its certificate, is cut, and comes again at once. What the configuration says about the
old name does not count for it any more.`,
		Args: args(cobra.ExactArgs(2)),
		RunE: flags.withServer(func(cmd *cobra.Command, given []string, server *api.Client) error {
			renamed, err := server.ChangeAgent(cmd.Context(), given[0], api.AgentChange{Name: &given[1]})
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is %s now\n", given[0], renamed.Name)
			return nil
		}),
	}
	flags.add(cmd)
	return cmd
}

func newAgentRemove() *cobra.Command {
	var flags serverFlags
	cmd := &cobra.Command{
		Use:   "rm NAME...",
		Short: "Remove agents",
		Long: `Removes agents: their certificates are void, and their links and streams are cut at once. Those that have not joined yet cannot
join any more.`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: flags.withServer(func(cmd *cobra.Command, names []string, server *api.Client) error {
			return forEach(cmd, names, "removed", func(name string) error { return server.RemoveAgent(cmd.Context(), name) })
		}),
	}
	flags.add(cmd)
	return cmd
}

func newAgentDrain() *cobra.Command {
	var flags serverFlags
	var reason string
	cmd := &cobra.Command{
		Use:   "drain NAME...",
		Short: "Have agents end when their streams have",
		Long: `Has agents take no new streams, let those that are open go on, and end then: to be started again by what has started them, as
systemd does. That is how the program of an agent is replaced without cutting anybody.`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: flags.withServer(func(cmd *cobra.Command, names []string, server *api.Client) error {
			return forEach(cmd, names, "drains", func(name string) error { return server.DrainAgent(cmd.Context(), name, reason) })
		}),
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the agent's log")
	return cmd
}

func newAgentReload() *cobra.Command {
	var flags serverFlags
	cmd := &cobra.Command{
		Use:   "reload NAME...",
		Short: "Have agents read their configuration again",
		Long:  `Has agents read their configuration again. What is wrong with it is printed; then the old one stays at work.`,
		Args:  args(cobra.MinimumNArgs(1)),
		RunE: flags.withServer(func(cmd *cobra.Command, names []string, server *api.Client) error {
			return forEach(cmd, names, "reloaded", func(name string) error { return server.ReloadAgent(cmd.Context(), name) })
		}),
	}
	flags.add(cmd)
	return cmd
}

func newAgentTunnel() *cobra.Command {
	var flags serverFlags
	var to, local string
	cmd := &cobra.Command{
		Use:   "tunnel NAME",
		Short: "Have an agent open a Mihini tunnel",
		Long: `Has an agent open a Mihini tunnel (TCPRemoteConnect): it connects to a Mihini server, which reaches a service on the agent's side
by it. What is left out, the agent's configuration says; its own list of what may be dialled decides. Returns when the tunnel is up.`,
		Example: `  jackfield agent tunnel edge-7 --server 192.0.2.1:9999 --local 127.0.0.1:22
  jackfield agent tunnel edge-7 --local :23`,
		Args: args(cobra.ExactArgs(1)),
		RunE: flags.withServer(func(cmd *cobra.Command, given []string, server *api.Client) error {
			var t api.AgentTunnel
			var err, err2 error
			t.ServerAddress, t.ServerPort, err = splitAddress("server", to)
			t.LocalAddress, t.LocalPort, err2 = splitAddress("local", local)
			if err := errors.Join(err, err2); err != nil {
				return usageError{err}
			}
			if err := server.OpenTunnel(cmd.Context(), given[0], t); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s has opened the tunnel\n", given[0])
			return nil
		}),
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&to, "server", "", "the Mihini server, as ADDRESS:PORT; either may be left out")
	cmd.Flags().StringVar(&local, "local", "", "the service on the agent's side, as ADDRESS:PORT; either may be left out")
	return cmd
}

// splitAddress reads an address and a port of which either may be empty.
func splitAddress(flag, text string) (host string, port int, err error) {
	if text == "" {
		return "", 0, nil
	}
	host, number, err := net.SplitHostPort(text)
	if err == nil && number != "" {
		port, err = strconv.Atoi(number)
	}
	if err != nil || port < 0 || port > 1<<16-1 {
		return "", 0, fmt.Errorf("--%s: %.100q is not an address and a port, as in 127.0.0.1:22, 127.0.0.1: or :22", flag, text)
	}
	return host, port, nil
}
