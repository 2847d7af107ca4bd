package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"jackfield"
	"jackfield/internal/admin"
	"jackfield/internal/config"
)

// reload reads the configuration again and puts it to work. Its error says all that is wrong, and nothing has changed
// then.
func (s *server) reload() (admin.Reloaded, error) {
	notifyReloading()
	defer notifyReady()
	reloaded, err := s.tryReload()
	if err != nil {
		s.log.Error("configuration not reloaded, the one before stays at work", "error", err)
		return admin.Reloaded{}, err
	}
	s.log.Info("configuration reloaded", "generation", reloaded.Generation, "cut", reloaded.Cut)
	return reloaded, nil
}

func (s *server) tryReload() (admin.Reloaded, error) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	next, problems := config.Load(s.path)
	var text strings.Builder
	if err := problems.WriteText(&text, false); err != nil {
		return admin.Reloaded{}, err
	}
	if next == nil {
		return admin.Reloaded{}, errors.New(strings.TrimSpace(text.String()))
	}
	if fixed := s.generation().config.FixedChanges(next); len(fixed) > 0 {
		return admin.Reloaded{}, fmt.Errorf("these need a restart of the server: %s", strings.Join(fixed, ", "))
	}
	if err := s.install(next); err != nil {
		return admin.Reloaded{}, err
	}
	return admin.Reloaded{Generation: s.number, Cut: s.cutForbidden(), Warnings: text.String()}, nil
}

// cutForbidden cuts the sessions that the rules now in force forbid, if that is wanted.
func (s *server) cutForbidden() int {
	g := s.generation()
	if !g.config.CutOnReload {
		return 0
	}
	return s.sessions.CutForbidden(func(r jackfield.Request) error {
		listener := g.listeners[r.Listener]
		if listener == nil {
			return errors.New("there is no such listener any more")
		}
		return g.gateway.Allows(context.Background(), listener, r)
	})
}

func newReload() *cobra.Command {
	var flags adminFlags
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Have the server read its configuration again",
		Long: `Has the server read its configuration file again. Sessions that run go on, and no connection is lost. If the file has
mistakes, they are printed and nothing changes. SIGHUP does the same, and the mistakes go to the server's log.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := flags.client()
			if err != nil {
				return err
			}
			reloaded, err := client.Reload(cmd.Context())
			if err != nil {
				return badConfig(cmd.ErrOrStderr(), err)
			}
			fmt.Fprint(cmd.ErrOrStderr(), reloaded.Warnings)
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "configuration %d is at work\n", reloaded.Generation)
			if reloaded.Cut > 0 {
				fmt.Fprintf(cmd.OutOrStdout(), "%d sessions that it forbids were cut\n", reloaded.Cut)
			}
			return err
		},
	}
	flags.add(cmd)
	return cmd
}

// badConfig shows what is wrong with a configuration as check does, and gives it the same exit status.
func badConfig(w io.Writer, err error) error {
	var refusal *jackfield.Error
	if !errors.As(err, &refusal) || refusal.Kind != jackfield.Invalid {
		return err
	}
	fmt.Fprintln(w, refusal.Message)
	return exitError(exitBad)
}
