package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"jackfield"
	"jackfield/internal/client"
)

// A forwarded service and where it is to be found on this machine.
type forwarded struct {
	Service jackfield.Name `json:"service"`
	Address string         `json:"address"`
}

func newForward() *cobra.Command {
	var flags loginFlags
	var printEnv, asJSON bool
	var list []forwarded
	cmd := &cobra.Command{
		Use:   "forward NAME [LOCAL] [NAME [LOCAL]]...",
		Short: "Make services reachable on ports of this machine",
		Long: `Listens on ports of this machine and joins every connection to a service, until Ctrl-C. LOCAL is PORT, for 127.0.0.1, or
HOST:PORT; without it a free port is taken and printed. While the server cannot be reached, connections are reset, and why is said
once; nothing needs to be started again when it is back, nor when you have logged in again. At most 256 connections of each port
are open at once.

Whoever can connect to a port uses the service in your name.`,
		Example: `  jackfield forward web.board-1 8080 ssh.board-1 2222
  jackfield forward --print-env db > .env &`,
		Args:              args(cobra.MinimumNArgs(1)),
		ValidArgsFunction: once(completeServices(&flags)),
		PreRunE: func(cmd *cobra.Command, given []string) (err error) {
			if err := atMostOne(cmd, "print-env", "json"); err != nil {
				return err
			}
			if list, err = parseForwarded(given); err != nil {
				return usageError{err}
			}
			return nil
		},
		RunE: flags.withLogin(func(cmd *cobra.Command, _ []string, server *client.Server) error {
			if err := resolveForwarded(cmd, server, list); err != nil {
				return err
			}
			listeners, err := listenForwarded(cmd.Context(), list)
			if err != nil {
				return err
			}
			if err := printForwarded(cmd.OutOrStdout(), list, printEnv, asJSON); err != nil {
				closeAll(listeners)
				return err
			}
			return runForwarded(cmd, flags, list, listeners)
		}),
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&printEnv, "print-env", false, "print the addresses as variables of a shell, such as JACKFIELD_WEB_BOARD_1=127.0.0.1:8080")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, an object in a line for each service")
	return cmd
}

// parseForwarded reads names, each of which may be followed by where to listen.
func parseForwarded(given []string) ([]forwarded, error) {
	var list []forwarded
	followed := true // by an address, so that a name is next
	for _, word := range given {
		if !followed && looksLikeAddress(word) {
			address, err := parseLocal(word)
			if err != nil {
				return nil, err
			}
			list[len(list)-1].Address = address
			followed = true
			continue
		}
		name, err := jackfield.ParseName(word)
		if err != nil {
			return nil, err
		}
		list = append(list, forwarded{name, "127.0.0.1:0"})
		followed = false
	}
	return list, nil
}

// looksLikeAddress tells a port, or host and port, from a service's name.
func looksLikeAddress(word string) bool {
	return strings.Trim(word, "0123456789") == "" || strings.Contains(word, ":")
}

func parseLocal(word string) (string, error) {
	host, port := "127.0.0.1", word
	if strings.Contains(word, ":") {
		var err error
		if host, port, err = net.SplitHostPort(word); err != nil {
			return "", fmt.Errorf("%q is neither a port nor a host and a port, such as 127.0.0.1:8080", word)
		}
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", fmt.Errorf("%q is not a port: those are numbers up to 65535", port)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

// resolveForwarded finds the full names while the server can be asked. If it cannot be, the names are taken for full ones.
func resolveForwarded(cmd *cobra.Command, server *client.Server, list []forwarded) error {
	for i := range list {
		name, err := server.Resolve(cmd.Context(), list[i].Service)
		switch kind := jackfieldKind(err); {
		case err == nil:
			list[i].Service = name
		case kind == jackfield.Denied: // the token may connect, and not see what there is
			return nil
		case kind != "" && kind != jackfield.Unavailable && kind != jackfield.Limited && kind != jackfield.Internal:
			return err
		case cmd.Context().Err() != nil:
			return err
		default:
			fmt.Fprintf(cmd.ErrOrStderr(), "jackfield: %s; connections will be served when it does\n", visible(err.Error()))
			return nil
		}
	}
	return nil
}

// listenForwarded opens all the ports, or none, and notes where they are.
func listenForwarded(ctx context.Context, list []forwarded) ([]*net.TCPListener, error) {
	var listeners []*net.TCPListener
	for i := range list {
		network := "tcp"
		if address, err := netip.ParseAddrPort(list[i].Address); err == nil && address.Addr().Is4() {
			network = "tcp4" // 0.0.0.0 would be all addresses of IPv6, too
		}
		listener, err := new(net.ListenConfig).Listen(ctx, network, list[i].Address)
		if err != nil {
			closeAll(listeners)
			return nil, unlistened(list[i], err)
		}
		list[i].Address = listener.Addr().String()
		listeners = append(listeners, listener.(*net.TCPListener))
	}
	return listeners, nil
}

// unlistened says why a port cannot be listened on, and what to do.
func unlistened(f forwarded, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s cannot be forwarded: another program listens on %s: choose another port, or none,"+
			" and a free one is taken", f.Service, f.Address)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s cannot be forwarded: you may not listen on %s: choose a port of 1024 and above",
			f.Service, f.Address)
	}
	return fmt.Errorf("%s cannot be forwarded: %w", f.Service, err)
}

func closeAll(listeners []*net.TCPListener) {
	for _, l := range listeners {
		l.Close()
	}
}

func printForwarded(w io.Writer, list []forwarded, asEnvironment, asJSON bool) error {
	known := make(map[string]jackfield.Name)
	for _, f := range list {
		variable := variableOf(f.Service)
		other, there := known[variable]
		if known[variable] = f.Service; asEnvironment && there {
			return usageError{fmt.Errorf("%s and %s would have the same variable, %s: forward one of them in another process", other, f.Service, variable)}
		}
	}
	for _, f := range list {
		var err error
		switch {
		case asJSON:
			err = printJSON(w, f)
		case asEnvironment:
			_, port, _ := net.SplitHostPort(f.Address) // of our own listener: digits, dots, colons and brackets
			_, err = fmt.Fprintf(w, "%s=%s\n%[1]s_PORT=%[3]s\n", variableOf(f.Service), f.Address, port)
		default:
			_, err = fmt.Fprintf(w, "%s is at %s\n", f.Service, f.Address)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// variableOf is the variable that tells the address of a service. A shell reads it, so it holds nothing but A-Z, 0-9 and _.
func variableOf(name jackfield.Name) string {
	return "JACKFIELD_" + strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToUpper(string(name)))
}

// runForwarded serves all the ports until the person stops it, or one of them cannot be served any more.
func runForwarded(cmd *cobra.Command, flags loginFlags, list []forwarded, listeners []*net.TCPListener) error {
	server, err := newRenewer(flags)
	if err != nil {
		closeAll(listeners)
		return err
	}
	defer server.close()
	url := server.current().URL()
	ctx, stop := context.WithCancel(cmd.Context())
	defer stop()
	failures := make([]error, len(list))
	var running sync.WaitGroup
	for i, f := range list {
		if address, err := netip.ParseAddrPort(f.Address); err != nil || !address.Addr().IsLoopback() {
			fmt.Fprintf(cmd.ErrOrStderr(), "jackfield: everybody who can connect to %s uses %s in your name\n", f.Address, f.Service)
		}
		complaints := &complainer{w: cmd.ErrOrStderr(), about: f.Service, server: url}
		forwarder := client.Forwarder{
			Listener: listeners[i],
			Open:     func(ctx context.Context) (jackfield.Stream, error) { return server.dial(ctx, f.Service) },
			Failed:   complaints.failed,
		}
		running.Go(func() {
			defer stop()
			failures[i] = forwarder.Run(ctx)
		})
	}
	running.Wait()
	return errors.Join(failures...)
}

// A complainer says why sessions cannot be opened: once, until one can be or the reason is another one.
type complainer struct {
	w      io.Writer
	about  jackfield.Name
	server string

	mu   sync.Mutex
	last string // guarded by mu
}

func (c *complainer) failed(err error) {
	sentence := ""
	if err != nil {
		sentence = reasonOf(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case sentence == c.last:
		return
	case sentence != "":
		fmt.Fprintf(c.w, "jackfield: %s: %s\n", c.about, visible(named(c.server, err).Error()))
	default:
		fmt.Fprintf(c.w, "jackfield: %s can be reached again\n", c.about)
	}
	c.last = sentence
}

// reasonOf is what makes two failures the same: not the short id.
func reasonOf(err error) string {
	if refusal, is := errors.AsType[*jackfield.Error](err); is {
		return string(refusal.Kind) + " " + refusal.Message
	}
	if broken, is := errors.AsType[*net.OpError](err); is {
		return broken.Err.Error() // without the ports, which are others each time
	}
	return err.Error()
}
