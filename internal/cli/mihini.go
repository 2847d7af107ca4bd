package cli

import (
	"context"
	"crypto/tls"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"text/template"
	"time"

	"github.com/spf13/cobra"

	"jackfield/internal/authority"
	"jackfield/internal/config"
	"jackfield/internal/device"
	"jackfield/internal/server"
)

func newMihini() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "mihini",
		Short: "Be either end of a Mihini TCP remote connection",
		Args:  args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newMihiniDevice(), newMihiniServer())
	return cmd
}

func newMihiniDevice() *cobra.Command {
	var path string
	var o config.DeviceFile
	cmd := &cobra.Command{
		Use:   "device --server HOST:PORT --allow HOST:PORT...",
		Short: "Dial a server and let it reach services from here",
		Long: `Dials a server that speaks the Mihini protocol, and lets it reach the services that --allow names; whatever else it asks for
is refused and logged. When the link is lost it dials again, after 1 s at first and up to 60 s later.

An entry of --allow is HOST:PORT, or ":PORT" for 127.0.0.1, with a range of ports (8000-8010) or a network (192.168.1.0/24:80).
A name allows itself only.

All of it may stand in a file instead, and flags count more:

  server = "gw.example:2065"
  allow  = ["127.0.0.1:22", "192.168.1.9:502"]

Where the server's listener has TLS, the device needs a certificate of the server's authority, which "jackfield certificate
issue" makes: --ca, --certificate and --key, or ca_file, certificate_file and key_file in the file.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			stored, err := storedDevice(path, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			orStored(cmd, "server", &o.Server, stored.Server)
			orStored(cmd, "allow", &o.Allow, stored.Allow)
			orStored(cmd, "hold-early-data", &o.HoldEarlyData, stored.HoldEarlyData)
			orStored(cmd, "ca", &o.CAFile, stored.CAFile)
			orStored(cmd, "certificate", &o.CertificateFile, stored.CertificateFile)
			orStored(cmd, "key", &o.KeyFile, stored.KeyFile)
			return runDevice(cmd.Context(), o, cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&path, "config", "", "a file that says the server and what is allowed")
	cmd.Flags().StringVar(&o.Server, "server", "", "the server's address for devices")
	cmd.Flags().StringArrayVar(&o.Allow, "allow", nil, "a service that the server may reach; may be given again")
	cmd.Flags().BoolVar(&o.HoldEarlyData, "hold-early-data", false, "for original servers: keep what comes for a stream before it is opened")
	cmd.Flags().StringVar(&o.CAFile, "ca", "", "the certificates of the server's authority: the link has TLS")
	cmd.Flags().StringVar(&o.CertificateFile, "certificate", "", "the device's certificate")
	cmd.Flags().StringVar(&o.KeyFile, "key", "", "its key")
	cmd.MarkFlagFilename("config", "hcl")
	return cmd
}

// orStored takes from a file what no flag says.
func orStored[T any](cmd *cobra.Command, flag string, value *T, stored T) {
	if !cmd.Flags().Changed(flag) {
		*value = stored
	}
}

// storedDevice reads the file that says what flags do not, if there is one.
func storedDevice(path string, stderr io.Writer) (config.DeviceFile, error) {
	if path == "" {
		return config.DeviceFile{}, nil
	}
	stored, problems := config.LoadDeviceFile(path)
	if err := problems.WriteText(stderr, isTerminal(stderr)); err != nil {
		return config.DeviceFile{}, err
	}
	if stored == nil {
		return config.DeviceFile{}, exitError(exitBad)
	}
	return *stored, nil
}

func runDevice(ctx context.Context, o config.DeviceFile, stderr io.Writer) error {
	allow, err := device.ParseAllowList(o.Allow)
	switch {
	case err != nil:
		return usageError{fmt.Errorf("--allow: %w", err)}
	case o.Server == "":
		return usageError{errors.New("--server HOST:PORT is missing: where should the device dial?")}
	case config.CheckAddress(o.Server) != nil:
		return usageError{fmt.Errorf("--server %q: %w", o.Server, config.CheckAddress(o.Server))}
	case len(allow) == 0:
		return usageError{errors.New("--allow HOST:PORT is missing: without it the server could reach nothing")}
	}
	linkTLS, err := deviceTLS(o)
	if err != nil {
		return err
	}
	log, end := openLog(stderr, new(slog.LevelVar), "auto")
	defer end()
	surviveBrokenPipes()
	err = device.Run(ctx, device.Options{Server: o.Server, Allow: allow, TLS: linkTLS, HoldEarlyData: o.HoldEarlyData, Log: log})
	if errors.Is(err, context.Canceled) {
		return nil // told to stop
	}
	return err
}

// deviceTLS makes what the link needs for TLS; nil if it is to have none.
func deviceTLS(o config.DeviceFile) (*tls.Config, error) {
	if o.CAFile == "" && o.CertificateFile == "" && o.KeyFile == "" {
		return nil, nil
	}
	if o.CAFile == "" || o.CertificateFile == "" || o.KeyFile == "" {
		return nil, usageError{errors.New("TLS needs all of --ca, --certificate and --key")}
	}
	authorities, err := os.ReadFile(o.CAFile)
	if err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(o.Server)
	if err != nil {
		return nil, err // CheckAddress has found it right
	}
	return authority.ClientConfig(authorities, o.CertificateFile, o.KeyFile, host)
}

//go:embed mihini.hcl.tmpl
var mihiniConfig string

// A mihiniServer is what the template of its configuration speaks of.
type mihiniServer struct {
	Dir        string
	Listen     string
	Clients    []string
	Services   []string
	CloseDelay time.Duration
}

func newMihiniServer() *cobra.Command {
	var s mihiniServer
	cmd := &cobra.Command{
		Use:   "server --listen HOST:PORT --client HOST:PORT --service HOST:PORT...",
		Short: "Wait for one device and publish its services on ports",
		Long: `Waits at --listen for one device that speaks the Mihini protocol. While it is there, a client of the port --client is joined to
the address --service on the device's network; both may be given several times, in the same order. It is "jackfield serve" with a
small configuration and without anything to keep: for more than one device, rules and audit use that.`,
		Example: `  jackfield mihini server --listen :2065 --client 127.0.0.1:2323 --service 127.0.0.1:23`,
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.check(); err != nil {
				return usageError{err}
			}
			return s.run(cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&s.Listen, "listen", "", "where the device dials in")
	cmd.Flags().StringArrayVar(&s.Clients, "client", nil, "a port for clients")
	cmd.Flags().StringArrayVar(&s.Services, "service", nil, "the service of that port, on the device's network")
	cmd.Flags().DurationVar(&s.CloseDelay, "close-delay", time.Second, "how long the device must be silent before a client's end is passed on; 0s for devices that half-close")
	return cmd
}

// check finds what is wrong with the flags.
func (s *mihiniServer) check() error {
	switch {
	case s.Listen == "":
		return errors.New("--listen HOST:PORT is missing: where does the device dial in?")
	case len(s.Clients) == 0:
		return errors.New("--client HOST:PORT is missing: where do clients come?")
	case len(s.Clients) != len(s.Services):
		return fmt.Errorf("--client is given %d times and --service %d times: each port needs its service", len(s.Clients), len(s.Services))
	}
	for _, address := range append([]string{s.Listen}, s.Clients...) {
		if err := config.CheckListen(address); err != nil {
			return fmt.Errorf("%q: %w", address, err)
		}
	}
	for _, address := range s.Services {
		if err := config.CheckDeviceAddress(address); err != nil {
			return fmt.Errorf("--service %q: %w", address, err)
		}
	}
	return nil
}

func (s *mihiniServer) run(stderr io.Writer) error {
	signals := watchSignals()
	defer signals.done()
	surviveBrokenPipes()
	dir, err := os.MkdirTemp("", "jackfield-mihini-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s.Dir = dir
	path := filepath.Join(dir, "jackfield.hcl")
	if err := writeTemplate(path, mihiniConfig, s); err != nil {
		return err
	}
	c, err := loadConfig(path, stderr)
	if err != nil {
		return err
	}
	level := new(slog.LevelVar)
	log, end := openLog(stderr, level, "auto")
	defer end()
	running, err := server.Start(server.Options{Path: path, Config: c, Log: log, Level: level, Version: version})
	if err != nil {
		return err
	}
	return running.Run(signals.stop, signals.cutNow)
}

// Quote writes a string as HCL has it.
func (s *mihiniServer) Quote(text string) string { return quoteHCL(text) }

// writeTemplate makes a file of a template.
func writeTemplate(path, text string, data any) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = template.Must(template.New("file").Parse(text)).Execute(file, data)
	return errors.Join(err, file.Close())
}
