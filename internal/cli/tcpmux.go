package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"jackfield/internal/api"
	"jackfield/wire/tcpmux"
)

// The port of RFC 1078.
const tcpmuxPort = "1"

type tcpmuxOptions struct {
	list    bool
	json    bool
	xinetd  bool
	timeout time.Duration
}

func newTCPMUX() *cobra.Command {
	var o tcpmuxOptions
	cmd := &cobra.Command{
		Use:   "tcpmux ADDRESS [NAME]",
		Short: "Reach a service of any TCPMUX server, or list its services",
		Long: `Connects to the TCPMUX server (RFC 1078) at ADDRESS, which is HOST or HOST:PORT (the port is 1 unless given), asks for
the service NAME, and joins it to standard input and output. The end of standard input ends that direction only: what
the service still has to say arrives. Without NAME, the names of the server's services are listed.`,
		Example: `  jackfield tcpmux 127.0.0.1:1078 --list
  jackfield tcpmux 127.0.0.1:1078 daytime
  echo hello | jackfield tcpmux 127.0.0.1:1078 echo`,
		Args: args(cobra.RangeArgs(1, 2)),
		RunE: func(cmd *cobra.Command, given []string) error {
			if o.list && len(given) == 2 {
				return usageError{errors.New("--list takes no NAME")}
			}
			if o.json && len(given) == 2 {
				return usageError{errors.New("--json is for the list of services")}
			}
			if o.timeout <= 0 {
				return usageError{errors.New("--timeout must be more than 0")}
			}
			conn, err := o.dial(cmd.Context(), given[0])
			if err != nil {
				return err
			}
			defer conn.Close()
			if len(given) == 1 {
				return o.printList(cmd.Context(), cmd.OutOrStdout(), conn)
			}
			return o.connect(cmd, conn, given[1])
		},
	}
	cmd.Flags().BoolVarP(&o.list, "list", "l", false, "list the server's services (what the server answers to help)")
	cmd.Flags().BoolVar(&o.json, "json", false, "print the list as JSON")
	cmd.Flags().BoolVar(&o.xinetd, "xinetd", false, "drop the NUL byte that xinetd sends after its reply")
	cmd.Flags().DurationVar(&o.timeout, "timeout", 30*time.Second, "how long the connection and the reply may take")
	return cmd
}

func (o *tcpmuxOptions) dial(ctx context.Context, address string) (*net.TCPConn, error) {
	if _, _, err := net.SplitHostPort(address); err != nil {
		address = net.JoinHostPort(strings.Trim(address, "[]"), tcpmuxPort)
	}
	conn, err := (&net.Dialer{Timeout: o.timeout}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

func (o *tcpmuxOptions) printList(ctx context.Context, w io.Writer, conn net.Conn) error {
	ctx, cancel := o.patience(ctx)
	defer cancel()
	names, err := tcpmux.List(ctx, conn)
	if err != nil {
		return explain(err)
	}
	if o.json {
		if names == nil {
			names = []string{}
		}
		return printJSON(w, names)
	}
	for _, name := range names {
		if _, err := fmt.Fprintln(w, visible(name)); err != nil {
			return err
		}
	}
	return nil
}

func (o *tcpmuxOptions) connect(cmd *cobra.Command, conn net.Conn, name string) error {
	ctx, cancel := o.patience(cmd.Context())
	defer cancel()
	rest, _, err := tcpmux.Open(ctx, conn, name)
	if err != nil {
		return explain(err)
	}
	if o.xinetd {
		rest = tcpmux.SkipNUL(rest)
	}
	return join(cmd.Context(), rest, cmd.InOrStdin(), cmd.OutOrStdout(), isTerminal(cmd.InOrStdin()))
}

func (o *tcpmuxOptions) patience(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, o.timeout, errors.New("the server did not answer in time"))
}

// visible keeps what a server sends from controlling the terminal.
func visible(s string) string {
	return api.Visible(s)
}
