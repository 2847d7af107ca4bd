package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"jackfield/internal/config"
	"jackfield/internal/inedoserve"
	"jackfield/wire/inedo"
)

// defaultInedoListen is where an agent listens that was not told.
const defaultInedoListen = "127.0.0.1:46336"

type inedoListen struct {
	inedoFlags
	certificate, key string
	width            string
	version          int32
	straightID       bool
	exactRequest     bool
	allow            []string
	handshakes       int
	handlers         []string
	keep             time.Duration
	rootPath         string
	logData          bool
}

func newInedoListen() *cobra.Command {
	var l inedoListen
	cmd := &cobra.Command{
		Use:   "listen [ADDRESS]",
		Short: "Be an agent that logs what it is sent, and answers it by programs",
		Long: `Listens at ADDRESS (127.0.0.1:46336 unless given) as an agent, and logs handshakes and messages. It answers Get Agent Root Path
if --root-path is given, and refuses Update Agent.

--handler 'CODE[-CODE]=PROGRAM ARGUMENT...' gives the messages with these commands to a program, which is started with the first
one and speaks for all connections. It reads and writes frames: int32 connection, int32 length, int32 command, data; little endian.
A length of -1 ends a connection. There is no quoting: what needs it is put into a script.

With aes nobody proves anything: whoever has recorded a message can send it again. Use ssl, or a network that you trust.`,
		Example: `  jackfield inedo listen --root-path /var/tmp --log-data
  jackfield inedo listen :46336 --encryption ssl --certificate agent.crt --key agent.key --allow 10.1.0.0/16 \
    --handler '0x4A460000-0x4A46FFFF=/usr/local/bin/answer --quick'`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			address := defaultInedoListen
			if len(given) == 1 {
				address = given[0]
			}
			return l.run(cmd, address)
		},
	}
	l.inedoFlags.add(cmd)
	l.addAgent(cmd)
	return cmd
}

func (l *inedoListen) addAgent(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&l.certificate, "certificate", "", "with ssl: the agent's certificate and its chain (PEM)")
	flags.StringVar(&l.key, "key", "", "with ssl: its private key (PEM)")
	flags.StringVar(&l.width, "version-width", "16", "how many bytes the agent's version has in the reply: 4 or 16")
	flags.Int32Var(&l.version, "agent-version", inedo.DefaultMajor, "the version that the agent says it has")
	flags.BoolVar(&l.straightID, "straight-id", false, "also take a protocol ID in the order in which it is printed")
	flags.BoolVar(&l.exactRequest, "exact-request", false, "take only the two requests of the protocol's document")
	flags.StringSliceVar(&l.allow, "allow", nil, "a network that clients may come from; may be given again; unset: everywhere")
	flags.IntVar(&l.handshakes, "max-handshakes", 100, "how many handshakes there may be at once; more wait")
	flags.DurationVar(&l.timeout, "timeout", inedo.DefaultTimeout, "how long a handshake may take")
	flags.StringArrayVar(&l.handlers, "handler", nil, "a program for some commands; may be given again")
	flags.DurationVar(&l.keep, "handler-keep", 30*time.Minute, "how long a handler stays without a connection")
	flags.StringVar(&l.rootPath, "root-path", "", "what Get Agent Root Path is answered with")
	flags.BoolVar(&l.logData, "log-data", false, "log the data of messages, in hexadecimal, up to 1 KiB of each")
	cmd.MarkFlagFilename("certificate")
	cmd.MarkFlagFilename("key")
}

func (l *inedoListen) run(cmd *cobra.Command, address string) error {
	if err := config.CheckListen(address); err != nil {
		return usageError{fmt.Errorf("%q: %w", address, err)}
	}
	o, err := l.prepare()
	if err != nil {
		return err
	}
	log, end := openLog(cmd.ErrOrStderr(), new(slog.LevelVar), "auto")
	defer end()
	surviveBrokenPipes()
	o.Log = log
	agent, err := inedoserve.New(o)
	if err != nil {
		return usageError{fmt.Errorf("--handler: %w", err)}
	}
	return listenAndServe(cmd.Context(), agent, address, o.Protocol.Mode, log)
}

func listenAndServe(ctx context.Context, agent *inedoserve.Agent, address string, mode inedo.Mode, log *slog.Logger) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	log.Info("listening", "address", listener.Addr().String(), "encryption", mode.String())
	agent.Serve(ctx, listener)
	return nil // told to stop
}

// prepare finds what is wrong before anything listens.
func (l *inedoListen) prepare() (o inedoserve.Options, err error) {
	p := &o.Protocol
	if p.Options, err = l.options(); err != nil {
		return o, err
	}
	if p.TLS, err = l.tls(p.Mode); err != nil {
		return o, err
	}
	if p.Width, err = parseWidth(l.width, false); err != nil {
		return o, err
	}
	p.Version, p.StraightID, p.ExactRequest = inedo.Version{Major: l.version}, l.straightID, l.exactRequest
	for _, text := range l.allow {
		network, err := parseNetwork(text)
		if err != nil {
			return o, usageError{fmt.Errorf("--allow: %w", err)}
		}
		o.Allowed = append(o.Allowed, network)
	}
	for _, text := range l.handlers {
		h, err := inedoserve.ParseHandler(text)
		if err != nil {
			return o, usageError{fmt.Errorf("--handler: %w", err)}
		}
		o.Handlers = append(o.Handlers, h)
	}
	switch {
	case l.handshakes < 1:
		return o, usageError{errors.New("--max-handshakes must be 1 or more")}
	case l.keep <= 0:
		return o, usageError{errors.New("--handler-keep must be more than 0")}
	}
	o.MaxHandshakes, o.RootPath, o.Keep, o.LogData = l.handshakes, l.rootPath, l.keep, l.logData
	return o, nil
}

func (l *inedoListen) tls(mode inedo.Mode) (*tls.Config, error) {
	given := l.certificate != "" || l.key != ""
	switch {
	case mode != inedo.ModeSSL && given:
		return nil, usageError{errors.New("--certificate and --key are for --encryption ssl only")}
	case mode != inedo.ModeSSL:
		return nil, nil
	case l.certificate == "" || l.key == "":
		return nil, usageError{errors.New("ssl needs --certificate and --key: which certificate should the agent show?")}
	}
	pair, err := tls.LoadX509KeyPair(l.certificate, l.key)
	if err != nil {
		return nil, fmt.Errorf("the certificate in %s and the key in %s cannot be used: %w", l.certificate, l.key, err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// parseNetwork reads a network, or an address, which is a network of one.
func parseNetwork(text string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(text); err == nil && address.Zone() == "" {
		address = address.Unmap()
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	network, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is no network, which is 10.1.0.0/16 or an address", text)
	}
	return network.Masked(), nil
}
