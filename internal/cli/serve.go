package cli

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"jackfield/internal/config"
)

// Where the configuration is unless a flag says otherwise.
const defaultConfig = "/etc/jackfield/jackfield.hcl"

func newServe() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Runs the server with a configuration file until it is told to stop (SIGINT, SIGTERM). It logs to standard error: text on
a terminal, JSON otherwise, unless the configuration says which.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(path, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			s, err := startServer(c, newLog(cmd.ErrOrStderr(), c.Log.Level, c.Log.Format), nil)
			if err != nil {
				return err
			}
			return s.run(untilStopped(cmd.Context()))
		},
	}
	configFlag(cmd, &path)
	return cmd
}

func configFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVar(path, "config", defaultConfig, "the configuration file")
	cmd.MarkFlagFilename("config", "hcl")
}

// loadConfig reads a configuration and writes what is wrong with it to w. Warnings do not stop.
func loadConfig(path string, w io.Writer) (*config.Config, error) {
	c, problems := config.Load(path)
	if err := problems.WriteText(w, isTerminal(w)); err != nil {
		return nil, err
	}
	if c == nil {
		return nil, exitError(exitBad)
	}
	return c, nil
}

// untilStopped gives the end of the process's context a cause that the audit can show.
func untilStopped(ctx context.Context) context.Context {
	stopping, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, func() { stop(errStopping) })
	return stopping
}
