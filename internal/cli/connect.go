package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"jackfield"
	"jackfield/internal/client"
)

func newConnect() *cobra.Command {
	var flags loginFlags
	var raw, progress bool
	cmd := &cobra.Command{
		Use:   "connect NAME",
		Short: "Join a service to standard input and output",
		Long: `Opens a session with a service and joins it to standard input and output. The end of standard input ends that direction only:
what the service still has to say arrives. NAME is that of a service; that of a station stands for its service ssh or console,
if you may use one of the two only.

With --raw, for consoles, every key goes to the service at once, Ctrl-C too; Ctrl-] ends the session, as in telnet.

Exits 1 if the server refuses, or if the session is cut.`,
		Example: `  jackfield connect --raw console.fpga-1
  ssh -o ProxyCommand='jackfield connect %h' ssh.board-1
  jackfield connect --progress firmware.board-1 < image.bin`,
		Args:              args(cobra.ExactArgs(1)),
		ValidArgsFunction: completeService,
		RunE: flags.withLogin(func(cmd *cobra.Command, given []string, server *client.Server) error {
			if err := atMostOne(cmd, "raw", "progress"); err != nil {
				return err
			}
			if raw && !(isTerminal(cmd.InOrStdin()) && isTerminal(cmd.OutOrStdout())) {
				return usageError{errors.New("--raw is for a terminal")}
			}
			name, err := jackfield.ParseName(given[0])
			if err != nil {
				return usageError{err}
			}
			stream, name, err := openService(cmd.Context(), server, name)
			if err != nil {
				return err
			}
			defer stream.Close()
			if raw {
				return joinTerminal(cmd, stream, name)
			}
			in, out := cmd.InOrStdin(), cmd.OutOrStdout()
			if progress && isTerminal(cmd.ErrOrStderr()) {
				meter := startMeter(cmd.ErrOrStderr())
				defer meter.stop()
				in, out = meter.reader(in), meter.writer(out)
			}
			return join(cmd.Context(), stream, in, out, isTerminal(cmd.InOrStdin()))
		}),
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&raw, "raw", false, "send every key to the service; Ctrl-] ends the session")
	cmd.Flags().BoolVar(&progress, "progress", false, "show on a terminal how much was carried, and how fast")
	return cmd
}

// openService opens a session with a service or, where there is none of that name, with the one that the name of a station
// stands for. The name of a service costs no further question.
func openService(ctx context.Context, server *client.Server, called jackfield.Name) (jackfield.Stream, jackfield.Name, error) {
	stream, err := server.Dial(ctx, called)
	if jackfieldKind(err) != jackfield.NotFound || called.Station() != "" {
		return stream, called, err
	}
	name, other := server.Resolve(ctx, called)
	switch {
	case jackfieldKind(other) == jackfield.Denied, other == nil && name == called:
		return nil, called, err // the token may not see what there is, or it has just come
	case other != nil:
		return nil, called, other
	}
	stream, err = server.Dial(ctx, name)
	return stream, name, err
}
