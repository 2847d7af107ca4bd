package cli

import (
	"cmp"
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

// loginFlags say which login is meant.
type loginFlags struct{ context string }

func (f *loginFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.context, "context", "", "the login to use (default: the current one, see \"jackfield context ls\")")
	cmd.RegisterFlagCompletionFunc("context", completeContexts)
}

// login returns the one that is meant, which has a token.
func (f *loginFlags) login() (*client.Login, *client.Contexts, error) {
	contexts, err := client.Open("")
	if err != nil {
		return nil, nil, err
	}
	l, err := f.load(contexts)
	switch {
	case errors.Is(err, client.ErrNone):
		return nil, nil, fmt.Errorf("%w: log in first, with jackfield login URL", err)
	case err != nil:
		return nil, nil, err
	case l.Token == "":
		return nil, nil, fmt.Errorf("%w to %s: log in again, with jackfield login %[2]s", client.ErrNone, l.URL)
	}
	return l, contexts, nil
}

func (f *loginFlags) load(contexts *client.Contexts) (*client.Login, error) {
	if f.context != "" {
		return contexts.Load(f.context)
	}
	return contexts.Current()
}

// server finds the server that somebody has logged in to.
func (f *loginFlags) server() (*client.Server, error) {
	l, contexts, err := f.login()
	if err != nil {
		return nil, err
	}
	return client.NewServer(*l, contexts)
}

// ask finds the API of that server, for a short question. Whether it has a new authority is left to others.
func (f *loginFlags) ask() (*api.Client, func(), error) {
	server, err := f.server()
	if err != nil {
		return nil, nil, err
	}
	return server.API, server.API.Close, nil
}

// withLogin makes the function of a command that asks the server of a login.
func (f *loginFlags) withLogin(do func(cmd *cobra.Command, given []string, server *client.Server) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, given []string) error {
		server, err := f.server()
		if err != nil {
			return err
		}
		defer server.Close()
		return named(server.URL(), do(cmd, given, server))
	}
}

// named says which server has refused, and by which id its log has more. Other errors name the server already.
func named(server string, err error) error {
	kind := jackfieldKind(err)
	if kind == "" {
		return err
	}
	sentence := server + ": "
	if refusal, one := err.(*jackfield.Error); !one {
		sentence += strings.ReplaceAll(err.Error(), "\n", "; ")
	} else if sentence += refusal.Message; refusal.ID != "" {
		sentence += " [" + refusal.ID + "]"
	}
	if kind == jackfield.Unauthenticated {
		sentence += " (jackfield login " + server + ")"
	}
	return errors.New(visible(sentence))
}

// A serverFlags says which server is meant by a command that both administrators on its machine and people elsewhere use.
type serverFlags struct {
	adminFlags
	loginFlags
	here func() bool // whether a server of this machine is meant: a flag says so, or nobody has logged in
}

func (f *serverFlags) add(cmd *cobra.Command) {
	f.adminFlags.add(cmd)
	f.loginFlags.add(cmd)
	f.here = func() bool {
		return cmd.Flags().Changed("socket") || cmd.Flags().Changed("config") || !f.anyLogin()
	}
	cmd.Flags().Lookup("config").Usage += "; without --socket and --config, the server that you have logged in to is asked"
}

// withServer makes the function of a command that asks a server: by its socket if a flag says so or nobody has logged in, else
// as who has.
func (f *serverFlags) withServer(do func(cmd *cobra.Command, given []string, server *api.Client) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, given []string) error {
		if err := cmp.Or(atMostOne(cmd, "socket", "context"), atMostOne(cmd, "config", "context")); err != nil {
			return err
		}
		if f.here() {
			return f.adminFlags.withServer(do)(cmd, given)
		}
		return f.withLogin(func(cmd *cobra.Command, given []string, server *client.Server) error {
			return do(cmd, given, server.API)
		})(cmd, given)
	}
}

// ask finds the API of the server that is meant.
func (f *serverFlags) ask() (*api.Client, func(), error) {
	if !f.here() {
		return f.loginFlags.ask()
	}
	server, err := f.adminFlags.client()
	if err != nil {
		return nil, nil, err
	}
	return server, server.Close, nil
}

// anyLogin says whether there is a login to use, or one that cannot be read, which is to be told.
func (f *serverFlags) anyLogin() bool {
	if f.context != "" {
		return true
	}
	contexts, err := client.Open("")
	if err != nil {
		return false // as for a service without a home
	}
	l, err := contexts.Current()
	return err == nil && l.Token != "" || err != nil && !errors.Is(err, client.ErrNone)
}

func newContext() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "context",
		Short: "Show the servers that you have logged in to, and choose one",
		Args:  args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newContextList(), newContextUse())
	return cmd
}

// A contextLine is what is shown of a login: everything but the token.
type contextLine struct {
	Name     string    `json:"name"`
	Current  bool      `json:"current"`
	URL      string    `json:"url"`
	User     string    `json:"user"`
	LoggedIn bool      `json:"logged_in"`
	Expires  time.Time `json:"expires,omitzero"`
	Pinned   bool      `json:"pinned"`
}

func newContextList() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "Show the contexts: the servers that you have logged in to",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			contexts, err := client.Open("")
			if err != nil {
				return err
			}
			logins, err := contexts.List()
			if err != nil {
				return err
			}
			lines := []contextLine{}
			current, _ := contexts.Current()
			for _, l := range logins {
				lines = append(lines, contextLine{
					Name: l.Context, Current: current != nil && current.Context == l.Context, URL: l.URL, User: l.User,
					LoggedIn: l.Token != "", Expires: l.Expires, Pinned: l.Authorities != "",
				})
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), lines)
			}
			return printContexts(cmd.OutOrStdout(), lines, time.Now())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printContexts(w io.Writer, lines []contextLine, now time.Time) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\tCONTEXT\tSERVER\tUSER\tTOKEN")
	for _, l := range lines {
		mark, token := " ", "until "+l.Expires.Local().Format(time.DateTime)
		if l.Current {
			mark = "*"
		}
		switch {
		case !l.LoggedIn:
			token = "logged out"
		case now.After(l.Expires):
			token = "expired"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", mark, l.Name, visible(l.URL), orDash(visible(l.User)), token)
	}
	return table.Flush()
}

func newContextUse() *cobra.Command {
	return &cobra.Command{
		Use:               "use NAME",
		Short:             "Make a context the current one",
		Args:              args(cobra.ExactArgs(1)),
		ValidArgsFunction: first(completeContexts),
		RunE: func(cmd *cobra.Command, given []string) error {
			contexts, err := client.Open("")
			if err != nil {
				return err
			}
			if err := contexts.Use(given[0]); errors.Is(err, client.ErrNone) {
				return fmt.Errorf("%w: see jackfield context ls", err)
			} else if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is the current context\n", given[0])
			return nil
		},
	}
}
