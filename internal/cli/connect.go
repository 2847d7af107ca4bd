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
	var name jackfield.Name
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
		ValidArgsFunction: first(completeServices(&flags)),
		PreRunE: func(cmd *cobra.Command, given []string) (err error) {
			if err := atMostOne(cmd, "raw", "progress"); err != nil {
				return err
			}
			if name, err = jackfield.ParseName(given[0]); err != nil {
				return usageError{err}
			}
			if raw && !(isTerminal(cmd.InOrStdin()) && isTerminal(cmd.OutOrStdout())) {
				return usageError{errors.New("--raw is for a terminal: without it, connect works in a pipe")}
			}
			return nil
		},
		RunE: flags.withLogin(func(cmd *cobra.Command, _ []string, server *client.Server) error {
			stream, name, err := openService(cmd.Context(), server, name)
			if err != nil {
				return err
			}
			defer stream.Close()
			if raw {
				return whyCut(cmd.Context(), server, joinTerminal(cmd, stream, name))
			}
			in, out := cmd.InOrStdin(), cmd.OutOrStdout()
			if progress && isTerminal(cmd.ErrOrStderr()) {
				meter := startMeter(cmd.ErrOrStderr())
				defer meter.stop()
				in, out = meter.reader(in), meter.writer(out)
			}
			return whyCut(cmd.Context(), server, join(cmd.Context(), stream, in, out, isTerminal(cmd.InOrStdin())))
		}),
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&raw, "raw", false, "send every key to the service; Ctrl-] ends the session")
	cmd.Flags().BoolVar(&progress, "progress", false, "show on a terminal how much was carried, and how fast")
	return cmd
}

// openService opens a session with a service or, where there is none of that name, with the one that the name of a station
// stands for. Neither costs a further question. Why it was neither is found out afterwards.
func openService(ctx context.Context, server *client.Server, called jackfield.Name) (jackfield.Stream, jackfield.Name, error) {
	stream, name, err := server.Open(ctx, called)
	switch {
	case jackfieldKind(err) != jackfield.NotFound:
		return stream, name, err
	case called.Station() != "":
		return nil, called, unlisted(err)
	}
	name, other := server.Resolve(ctx, called)
	switch {
	case jackfieldKind(other) == jackfield.Denied, other == nil && name == called:
		return nil, called, unlisted(err) // the token may not see what there is, or it has just come
	case other != nil:
		return nil, called, other
	}
	stream, err = server.Dial(ctx, name) // it has just come, or a service that may not be used has the station's name
	return stream, name, err
}

// unlisted says where to see what there is, with a refusal that says there is no such service.
func unlisted(err error) error {
	refusal := jackfield.AsError(err)
	return &jackfield.Error{Kind: refusal.Kind, Message: refusal.Message + ": see jackfield ls", ID: refusal.ID}
}

// whyCut says why a session was reset, if it is that the token is not good any more.
func whyCut(ctx context.Context, server *client.Server, err error) error {
	if !errors.Is(err, errReset) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, completionPatience)
	defer cancel()
	_, asked := server.API.Me(ctx)
	if jackfieldKind(asked) != jackfield.Unauthenticated {
		return err
	}
	refusal := jackfield.AsError(asked)
	return &jackfield.Error{Kind: refusal.Kind, Message: "the session was cut: " + refusal.Message, ID: refusal.ID}
}
