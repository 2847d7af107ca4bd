package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"github.com/spf13/cobra"

	"jackfield/internal/config"
	"jackfield/internal/server"
)

// Where the configuration is unless a flag says otherwise.
const defaultConfig = "/etc/jackfield/jackfield.hcl"

func newServe() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Runs the server with a configuration file. It logs to standard error: text on a terminal, JSON otherwise, unless the
configuration says which.

SIGHUP has it read the configuration again. SIGTERM and SIGINT stop it: sessions that run may go on for drain_timeout,
then they are cut; a second signal cuts them at once.`,
		Args: func(_ *cobra.Command, given []string) error {
			if len(given) > 0 {
				return usageError{fmt.Errorf("serve takes its file by a flag: serve --config %s", given[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(path, cmd.ErrOrStderr())
		},
	}
	configFlag(cmd, &path)
	return cmd
}

func configFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVar(path, "config", defaultConfig, "the configuration file")
	cmd.MarkFlagFilename("config", "hcl")
}

func serve(path string, stderr io.Writer) error {
	signals := watchSignals()
	defer signals.done()
	surviveBrokenPipes()
	c, err := loadConfig(path, stderr)
	if err != nil {
		return err
	}
	level := new(slog.LevelVar)
	level.Set(c.Log.Level)
	log, endLog := openLog(stderr, level, c.Log.Format)
	defer endLog()
	s, err := server.Start(server.Options{Path: path, Config: c, Log: log, Level: level, Version: version})
	if err != nil {
		return err
	}
	var reloader sync.WaitGroup
	defer reloader.Wait()
	ctx, stop := context.WithCancel(signals.stop)
	defer stop()
	reloader.Go(func() { s.ReloadOn(ctx, signals.hangup) })
	return s.Run(signals.stop, signals.cutNow)
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
