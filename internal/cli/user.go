package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"jackfield/internal/api"
	"jackfield/internal/identity"
)

func newUser() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "user",
		Short: "Add, change and remove users",
		Args:  args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newUserAdd(), newUserPasswd(), newUserChange(), newUserRemove(), newUserList(), newUserHash())
	return cmd
}

func newUserAdd() *cobra.Command {
	var flags serverFlags
	var user api.NewUser
	var passwords passwordFlags
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Add a user",
		Long: `Adds a user, who can log in with a password or, without one, with a token that "jackfield token add --one-time" makes. The
password is asked for on a terminal.`,
		Example: `  jackfield user add ada --group lab
  echo "$PASSWORD" | jackfield user add ada --password-stdin`,
		Args: args(cobra.ExactArgs(1)),
		RunE: flags.withServer(func(cmd *cobra.Command, given []string, server *api.Client) (err error) {
			user.Name = given[0]
			if user.Password, err = passwords.read(cmd, "Password of "+user.Name+": "); err != nil {
				return err
			}
			added, err := server.AddUser(cmd.Context(), user)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s added\n", added.Name)
			return nil
		}),
	}
	flags.add(cmd)
	passwords.add(cmd)
	cmd.Flags().BoolVar(&passwords.none, "no-password", false, "the user has none and logs in with a token")
	cmd.Flags().StringArrayVar(&user.Groups, "group", nil, "a group that the user is in; may be given again")
	cmd.Flags().BoolVar(&user.Admin, "admin", false, "the user administers this server")
	return cmd
}

func newUserPasswd() *cobra.Command {
	var flags serverFlags
	var passwords passwordFlags
	cmd := &cobra.Command{
		Use:   "passwd NAME",
		Short: "Set a user's password",
		Long:  `Sets a user's password, which is asked for on a terminal. The user's tokens stay good: see "jackfield token rm".`,
		Args:  args(cobra.ExactArgs(1)),
		RunE: flags.withServer(func(cmd *cobra.Command, given []string, server *api.Client) error {
			password, err := passwords.read(cmd, "New password of "+given[0]+": ")
			if err != nil {
				return err
			}
			if err := server.SetPassword(cmd.Context(), given[0], api.PasswordChange{Password: password}); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s has a new password\n", given[0])
			return nil
		}),
	}
	flags.add(cmd)
	passwords.add(cmd)
	return cmd
}

func newUserChange() *cobra.Command {
	var flags serverFlags
	var join, leave []string
	var admin, disabled bool
	cmd := &cobra.Command{
		Use:   "change NAME",
		Short: "Change a user's groups and rights",
		Long: `Changes what is given, and leaves the rest as it is. A user who is disabled, or leaves a group, is cut off at once from what
that took away.`,
		Example: `  jackfield user change ada --join lab --leave guests
  jackfield user change ada --admin=false
  jackfield user change ada --disabled`,
		Args: args(cobra.ExactArgs(1)),
		RunE: flags.withServer(func(cmd *cobra.Command, given []string, server *api.Client) error {
			var change api.UserChange
			if cmd.Flags().Changed("admin") {
				change.Admin = &admin
			}
			if cmd.Flags().Changed("disabled") {
				change.Disabled = &disabled
			}
			user, tag, err := server.User(cmd.Context(), given[0])
			if err != nil {
				return err
			}
			if len(join)+len(leave) > 0 {
				groups := slices.DeleteFunc(append(user.Groups, join...), func(g string) bool { return slices.Contains(leave, g) })
				change.Groups = &groups
			}
			if change == (api.UserChange{}) {
				return usageError{errors.New("nothing is to be changed: say --join, --leave, --admin or --disabled")}
			}
			if _, err := server.ChangeUser(cmd.Context(), user.Name, tag, change); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s changed\n", user.Name)
			return nil
		}),
	}
	flags.add(cmd)
	cmd.Flags().StringArrayVar(&join, "join", nil, "a group that the user comes into; may be given again")
	cmd.Flags().StringArrayVar(&leave, "leave", nil, "a group that the user leaves; may be given again")
	cmd.Flags().BoolVar(&admin, "admin", false, "the user administers this server")
	cmd.Flags().BoolVar(&disabled, "disabled", false, "nothing proves the user's identity any more, until --disabled=false")
	return cmd
}

func newUserRemove() *cobra.Command {
	var flags serverFlags
	cmd := &cobra.Command{
		Use:   "rm NAME...",
		Short: "Remove users",
		Long:  `Removes users with their tokens and certificates. What they are doing is cut at once.`,
		Args:  args(cobra.MinimumNArgs(1)),
		RunE: flags.withServer(func(cmd *cobra.Command, names []string, server *api.Client) error {
			return forEach(cmd, names, "removed", func(name string) error { return server.RemoveUser(cmd.Context(), name, "") })
		}),
	}
	flags.add(cmd)
	return cmd
}

func newUserList() *cobra.Command {
	var flags serverFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "Show the users",
		Args:    args(cobra.NoArgs),
		RunE: flags.withServer(func(cmd *cobra.Command, _ []string, server *api.Client) error {
			users, err := server.Users(cmd.Context())
			switch {
			case err != nil:
				return err
			case asJSON:
				return printJSON(cmd.OutOrStdout(), users)
			}
			return printUsers(cmd.OutOrStdout(), users)
		}),
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printUsers(w io.Writer, users []api.User) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "USER\tADMIN\tSTATE\tPASSWORD\tFROM\tGROUPS")
	for _, u := range users {
		state := "enabled"
		if u.Disabled {
			state = "disabled"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n",
			u.Name, yesNo(u.Admin), state, yesNo(u.HasPassword), u.Source, orDash(strings.Join(u.Groups, ", ")))
	}
	return table.Flush()
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// forEach does something to each of several things and says so. One that fails does not keep it from the others.
func forEach(cmd *cobra.Command, names []string, done string, do func(name string) error) error {
	var failures []error
	for _, name := range names {
		if err := do(name); err != nil {
			if !strings.Contains(err.Error(), strconv.Quote(name)) {
				err = fmt.Errorf("%s: %w", name, err)
			}
			failures = append(failures, err)
			continue
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", name, done)
	}
	if len(failures) == 1 {
		return failures[0] // which may have a short id
	}
	return errors.Join(failures...)
}

func newUserHash() *cobra.Command {
	var passwords passwordFlags
	cmd := &cobra.Command{
		Use:   "hash",
		Short: "Hash a password for a configuration file",
		Long: `Prints what a user block of a configuration file has for password_hash. The password is asked for on a terminal. No server is
asked.`,
		Example: `  jackfield user hash > ada.hash     # and in the file: password_hash = file("ada.hash")`,
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			password, err := passwords.read(cmd, "Password: ")
			if err != nil {
				return err
			}
			hash, err := identity.NewPasswordHash(password)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), hash.PHC())
			return err
		},
	}
	passwords.add(cmd)
	return cmd
}
