package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"jackfield/internal/api"
	"jackfield/internal/identity"
)

func newToken() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make and revoke tokens",
		Args:  args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newTokenAdd(), newTokenRemove(), newTokenList())
	return cmd
}

func newTokenAdd() *cobra.Command {
	var flags serverFlags
	var token api.NewToken
	var scopes []string
	var lifetime time.Duration
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "add USER",
		Short: "Make a token",
		Long: `Makes a token that proves to be the user, and prints it. It is shown this once. The scopes are what its bearer may do in the
user's place: read (see), write (change what is the user's own), connect (open sessions) and admin (what administrators alone
may do). No scope holds another; an administrator's token has admin only if --scope says so.

A one-time token is good for one login and nothing else: give it to somebody who has no password yet.`,
		Example: `  jackfield token add ci --label "nightly tests" --scope read,connect --lifetime 2160h
  jackfield token add ada --one-time`,
		Args: args(cobra.ExactArgs(1)),
		RunE: flags.withServer(func(cmd *cobra.Command, given []string, server *api.Client) error {
			token.User, token.Lifetime = given[0], api.Duration(lifetime)
			for _, s := range scopes {
				token.Scopes = append(token.Scopes, identity.Scope(s))
			}
			grant, err := server.AddToken(cmd.Context(), token)
			switch {
			case err != nil:
				return err
			case asJSON:
				return printJSON(cmd.OutOrStdout(), grant)
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "Token %s of %s, until %s. It is not shown again:\n",
				grant.ID, grant.User, grant.Expires.Local().Format(time.DateTime))
			fmt.Fprintln(cmd.OutOrStdout(), grant.Secret)
			return nil
		}),
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&token.Label, "label", "", "what it is for")
	cmd.Flags().StringSliceVar(&scopes, "scope", nil, "what its bearer may do (default read,write,connect); may be given again")
	cmd.Flags().DurationVar(&lifetime, "lifetime", 0, "how long it is good, in hours such as 2160h (default 720h, at most 8760h; one-time: 1h, at most 168h)")
	cmd.Flags().BoolVar(&token.OneTime, "one-time", false, "it is good for one login")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newTokenRemove() *cobra.Command {
	var flags serverFlags
	cmd := &cobra.Command{
		Use:   "rm ID...",
		Short: "Revoke tokens",
		Long:  `Revokes tokens by their ids (see "jackfield token ls"). What their bearers are doing is cut at once.`,
		Args:  args(cobra.MinimumNArgs(1)),
		RunE: flags.withServer(func(cmd *cobra.Command, ids []string, server *api.Client) error {
			return forEach(cmd, ids, "revoked", func(id string) error { return server.RemoveToken(cmd.Context(), id) })
		}),
	}
	flags.add(cmd)
	return cmd
}

func newTokenList() *cobra.Command {
	var flags serverFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "ls [USER]",
		Aliases: []string{"list"},
		Short:   "Show the tokens of all users, or of one",
		Args:    args(cobra.MaximumNArgs(1)),
		RunE: flags.withServer(func(cmd *cobra.Command, given []string, server *api.Client) error {
			tokens, err := server.Tokens(cmd.Context(), strings.Join(given, ""))
			switch {
			case err != nil:
				return err
			case asJSON:
				return printJSON(cmd.OutOrStdout(), tokens)
			}
			return printTokens(cmd.OutOrStdout(), tokens)
		}),
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printTokens(w io.Writer, tokens []api.Token) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tUSER\tSCOPES\tEXPIRES\tLABEL")
	for _, t := range tokens {
		var scopes []string
		for _, s := range t.Scopes {
			scopes = append(scopes, string(s))
		}
		if t.OneTime {
			scopes = []string{"one login"}
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", t.ID, t.User, strings.Join(scopes, ","),
			t.Expires.Local().Format(time.DateTime), orDash(t.Label))
	}
	return table.Flush()
}
