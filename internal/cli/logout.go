package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"jackfield"
	"jackfield/internal/api"
	"jackfield/internal/client"
)

func newLogout() *cobra.Command {
	var flags loginFlags
	var forget bool
	cmd := &cobra.Command{
		Use:   "logout",
		Short: "Revoke your token and forget it",
		Long: `Revokes the token of the login and forgets it. What you are doing with it is cut at once. The server's address and authority are
kept for the next login; with --forget they are forgotten, too, whether the server can be reached or not.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			contexts, err := client.Open("")
			if err != nil {
				return err
			}
			l, err := flags.load(contexts)
			if errors.Is(err, client.ErrNone) {
				return fmt.Errorf("%w: there is nothing to log out of", err)
			}
			if err != nil {
				return err
			}
			if err := logout(cmd, contexts, *l, forget); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "logged out of %s\n", l.URL)
			return err
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&forget, "forget", false, "forget the server, too")
	return cmd
}

func logout(cmd *cobra.Command, contexts *client.Contexts, l client.Login, forget bool) error {
	if l.Token != "" {
		err := revoke(cmd.Context(), l)
		switch {
		case err != nil && !forget:
			return fmt.Errorf("%w (the token is kept; --forget forgets it all the same)", err)
		case err != nil:
			fmt.Fprintf(cmd.ErrOrStderr(), "jackfield: the token is forgotten here, and good until %s: %s\n",
				l.Expires.Local().Format(time.DateTime), visible(err.Error()))
		}
	}
	if forget {
		return contexts.Remove(l.Context)
	}
	l.Token, l.Expires = "", time.Time{}
	return contexts.Save(l)
}

// revoke makes the token of a login void. One that the server does not know any more is.
func revoke(ctx context.Context, l client.Login) error {
	server, err := client.NewServer(l, nil)
	if err != nil {
		return err
	}
	defer server.Close()
	if err := server.API.Logout(ctx); jackfieldKind(err) != jackfield.Unauthenticated {
		return named(l.URL, err)
	}
	return nil
}

// A standing is what "status" shows.
type standing struct {
	Context string     `json:"context"`
	URL     string     `json:"url"`
	Pinned  bool       `json:"pinned"`
	Me      api.Me     `json:"me"`
	Server  api.Status `json:"server,omitzero"`
}

func newStatus() *cobra.Command {
	var flags loginFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show which server is asked, who you are there, and until when",
		Args:  args(cobra.NoArgs),
		RunE: flags.withLogin(func(cmd *cobra.Command, _ []string, server *client.Server) error {
			l, _, err := flags.login()
			if err != nil {
				return err
			}
			now := standing{Context: l.Context, URL: l.URL, Pinned: l.Authorities != ""}
			if now.Me, err = server.API.Me(cmd.Context()); err != nil {
				return err
			}
			if now.Server, err = server.API.Status(cmd.Context()); err != nil && jackfieldKind(err) != jackfield.Denied {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), now)
			}
			return printStanding(cmd.OutOrStdout(), now, time.Now())
		}),
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printStanding(w io.Writer, s standing, now time.Time) error {
	known := "by a public authority"
	if s.Pinned {
		known = "by its pinned authority"
	}
	if strings.HasPrefix(s.URL, "http:") {
		known = "by its loopback address"
	}
	var scopes []string
	for _, scope := range s.Me.Scopes {
		scopes = append(scopes, string(scope))
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "Server\t%s, known %s\n", s.URL, known)
	if s.Server.Version != "" {
		fmt.Fprintf(table, "Version\t%s, up %s\n", visible(s.Server.Version), now.Sub(s.Server.Started).Round(time.Second))
	}
	fmt.Fprintf(table, "Context\t%s\n", s.Context)
	fmt.Fprintf(table, "User\t%s\n", s.Me.User)
	fmt.Fprintf(table, "Groups\t%s\n", orDash(strings.Join(s.Me.Groups, ", ")))
	fmt.Fprintf(table, "Administrator\t%s\n", yesNo(s.Me.Admin))
	fmt.Fprintf(table, "Token\t%s, until %s (%s)\n", strings.Join(scopes, ", "), s.Me.Expires.Local().Format(time.DateTime), remaining(s.Me.Expires.Sub(now)))
	return table.Flush()
}

// remaining says how long a token is still good.
func remaining(d time.Duration) string {
	switch days := int(d / (24 * time.Hour)); {
	case d <= 0:
		return "expired"
	case days >= 2:
		return fmt.Sprintf("%d days", days)
	}
	return d.Round(time.Minute).String()
}
