package cli

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"jackfield"
	"jackfield/internal/access"
	policy "jackfield/internal/access/mapper"
	"jackfield/internal/config"
	"jackfield/wire/mapper"
)

func newMapper() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "mapper",
		Short: "Speak the Mapper protocol, by which a program decides",
		Args:  args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newMapperServe(), newMapperTry())
	return cmd
}

func newMapperServe() *cobra.Command {
	var rules string
	var quiet time.Duration
	cmd := &cobra.Command{
		Use:   "serve --rules FILE",
		Short: "Be the program that decides, by a file of rules",
		Long: `Is the program (the application) of the Mapper protocol, on standard input and output, for any product that calls one. It
decides by the rules in FILE, which are written as in the configuration:

  rule "deny" { users = ["guest"] }
  rule "allow" {
    from = ["10.0.0.0/8"]
    when = hour >= 7 && hour < 20
  }

Of a request it looks at the entries user (ID:NAME), group, addr-ip, service and listener. One without addr-ip is denied. It
ends when its input ends, and also when all is answered and nothing more has come for a time: products need not end its input.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if rules == "" {
				return usageError{errors.New("--rules FILE is missing: by which rules should it decide?")}
			}
			loaded, problems := config.LoadRules(rules)
			if err := problems.WriteText(cmd.ErrOrStderr(), isTerminal(cmd.ErrOrStderr())); err != nil {
				return err
			}
			if loaded == nil {
				return exitError(exitBad)
			}
			program := mapper.Program{Handler: policy.Application(access.NewACL("rules", loaded)), Quiet: quiet}
			return program.Serve(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&rules, "rules", "", "the file of rules")
	cmd.Flags().DurationVar(&quiet, "quiet", mapper.DefaultQuiet, "end when nothing has come for so long after the last answer; negative: only when the input ends")
	cmd.MarkFlagFilename("rules", "hcl")
	return cmd
}

func newMapperTry() *cobra.Command {
	var o policy.Options
	var environment []string
	cmd := &cobra.Command{
		Use:   "try --command PROGRAM [KEY=VALUE...] [-- ARGUMENT...]",
		Short: "Run a deciding program once and show the exchange",
		Long: `Runs a program that decides by the Mapper protocol once, asks it one question with the given entries, and prints the
exchange line by line with what Jackfield makes of it. What stands behind "--" is passed to the program.

Exits 0 if the program allowed, 1 if not.`,
		Example: `  jackfield mapper try --command /usr/local/lib/jackfield/authz user=1000:ann addr-ip=192.0.2.7 service=web`,
		Args:    args(cobra.ArbitraryArgs),
		RunE: func(cmd *cobra.Command, given []string) error {
			given, o.Args = splitAtDash(cmd, given)
			entries, err := parseEntries(given)
			if err != nil {
				return usageError{err}
			}
			if o.Path == "" {
				return usageError{errors.New("--command PROGRAM is missing: which program should be tried?")}
			}
			if o.Timeout <= 0 {
				return usageError{errors.New("--timeout must be more than nothing")}
			}
			if o.Env, err = parseEnvironment(environment); err != nil {
				return usageError{err}
			}
			o.Name, o.Accept = "try", policy.Acceptable
			log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelInfo}))
			d, err := policy.Try(cmd.Context(), o, entries, printTrace(cmd.OutOrStdout()), log)
			if err != nil {
				return err
			}
			if !d.Allow {
				fmt.Fprintf(cmd.OutOrStdout(), "\ndenied: %s\n", d.Reason)
				return exitError(exitFailure)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "\nallowed%s%s\n", withColon(d.Terms.Note), limits(d.Terms))
			return err
		},
	}
	cmd.Flags().StringVar(&o.Path, "command", "", "the program: a path, or a name that is looked up in PATH")
	cmd.Flags().StringVar(&o.User, "user", "", "run it as this user (default: as you)")
	cmd.Flags().StringArrayVar(&environment, "env", nil, "an environment variable for it, NAME=VALUE; may be given again")
	cmd.Flags().DurationVar(&o.Timeout, "timeout", policy.DefaultTimeout, "how long the version, and then the answer, may take")
	cmd.MarkFlagFilename("command")
	return cmd
}

// splitAtDash returns what stands before and behind "--".
func splitAtDash(cmd *cobra.Command, given []string) (before, behind []string) {
	if dash := cmd.ArgsLenAtDash(); dash >= 0 {
		return given[:dash], given[dash:]
	}
	return given, nil
}

func parseEntries(given []string) (mapper.Entries, error) {
	var entries mapper.Entries
	for _, word := range given {
		key, value, found := strings.Cut(word, "=")
		if !found {
			return nil, fmt.Errorf("%q is no entry, which is KEY=VALUE (arguments of the program stand behind --)", word)
		}
		entry := mapper.Entry{Key: key, Value: value}
		if err := mapper.CheckEntry(entry); err != nil {
			return nil, err
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

// printTrace prints a conversation as it goes. What the program says is quoted where it holds anything but printable text.
func printTrace(w io.Writer) *mapper.Trace {
	return &mapper.Trace{
		Sent: func(line string) { fmt.Fprintf(w, "jackfield  %s\n", printable(line)) },
		Received: func(line, meaning string) {
			fmt.Fprintf(w, "  program  %-40s  %s\n", printable(line), meaning)
		},
		Ended: func() { fmt.Fprintln(w, "jackfield  (ends the program's standard input)") },
		Exited: func(err error) {
			if err == nil {
				fmt.Fprintln(w, "  program  (exit status 0)")
				return
			}
			fmt.Fprintf(w, "  program  (%v)\n", err)
		},
	}
}

func printable(line string) string {
	const long = 200
	if quoted := fmt.Sprintf("%q", line); len(line) > long || quoted != `"`+line+`"` {
		return fmt.Sprintf("%.*s", long, quoted)
	}
	return line
}

func parseEnvironment(given []string) (map[string]string, error) {
	env := make(map[string]string)
	for _, word := range given {
		name, value, found := strings.Cut(word, "=")
		if !found || name == "" {
			return nil, errors.New("--env takes NAME=VALUE")
		}
		env[name] = value
	}
	return env, nil
}

// limits says what the program asks for, where a mapper's configuration accepts it.
func limits(t jackfield.Terms) string {
	var asked []string
	if t.MaxDuration > 0 {
		asked = append(asked, fmt.Sprintf("at most %v", t.MaxDuration))
	}
	if t.IdleTimeout > 0 {
		asked = append(asked, fmt.Sprintf("at most %v idle", t.IdleTimeout))
	}
	if asked == nil {
		return ""
	}
	return " (" + strings.Join(asked, ", ") + ")"
}

func withColon(s string) string {
	if s == "" {
		return ""
	}
	return ": " + s
}
