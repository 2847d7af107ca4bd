package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"jackfield"
	"jackfield/internal/agentd"
	"jackfield/internal/agentd/membership"
	"jackfield/internal/config"
	"jackfield/internal/device"
	"jackfield/internal/route/command"
	"jackfield/internal/route/dial"
	"jackfield/internal/server"
)

// An agentRun is how "agent run" was called.
type agentRun struct {
	state, path string
	listen      listenFlags
	stderr      io.Writer
}

func newAgentRun() *cobra.Command {
	var run agentRun
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Offer services of this machine to a server",
		Long: `Keeps a link to the server that "jackfield agent join" has made this machine known to, and offers it the services that the
configuration names:

  service "ssh" { address = "127.0.0.1:22" }
  allow = ["127.0.0.1:8080", "192.168.1.0/24:502"]

A service is offered by name; what stands in allow the server may ask for by address. Whatever else it asks for is refused
and logged. When the link is lost the agent dials again, for ever.

With --listen, or a block "listen" in the configuration, the server dials the agent:

  jackfield agent run --listen 0.0.0.0:46336 --key-file /etc/jackfield/agent.key

SIGHUP has it read the configuration again. SIGTERM and SIGINT stop it: streams that are open may go on for drain_timeout; a
second signal cuts them at once.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			run.stderr = cmd.ErrOrStderr()
			return run.run()
		},
	}
	cmd.Flags().StringVar(&run.state, "state", "", "the directory that \"agent join\" has written; unset: the one that it writes by itself")
	cmd.Flags().StringVar(&run.path, "config", "", "what is offered; unset: agent.hcl in the directory of --state, if it is there")
	run.listen.define(cmd.Flags())
	cmd.MarkFlagFilename("config", "hcl")
	cmd.MarkFlagDirname("state")
	return cmd
}

func (r *agentRun) run() error {
	if r.state == "" {
		var err error
		if r.state, err = membership.DefaultDir(); err != nil {
			return err
		}
	}
	if own := filepath.Join(r.state, "agent.hcl"); r.path == "" && exists(own) {
		r.path = own
	}
	file, err := r.load()
	if err != nil {
		return err
	}
	signals := watchSignals()
	defer signals.done()
	surviveBrokenPipes()
	level := new(slog.LevelVar)
	level.Set(file.Log.Level)
	log, endLog := openLog(r.stderr, level, file.Log.Format)
	defer endLog()
	launcher := command.NewLauncher()
	defer launcher.Close()
	return r.serve(signals, file, level, &offering{launcher: launcher, log: log})
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// load reads the configuration. What flags say wins.
func (r *agentRun) load() (*config.AgentFile, error) {
	file, err := r.loadFile()
	if err == nil {
		file.Listen, err = r.listen.over(file.Listen)
	}
	return file, err
}

// loadFile reads the file; without one nothing is offered, and the server can be linked to all the same.
func (r *agentRun) loadFile() (*config.AgentFile, error) {
	if r.path == "" {
		return &config.AgentFile{DrainTimeout: 10 * time.Second, Log: config.Log{Format: "auto"}}, nil
	}
	file, problems := config.LoadAgentFile(r.path)
	if err := problems.WriteText(r.stderr, isTerminal(r.stderr)); err != nil {
		return nil, err
	}
	if file == nil {
		return nil, exitError(exitBad)
	}
	return file, nil
}

func (r *agentRun) serve(signals *signals, file *config.AgentFile, level *slog.LevelVar, o *offering) error {
	offer, err := o.offer(file)
	if err != nil {
		return err
	}
	member, err := membership.Load(r.state)
	if err != nil && !needsNone(file.Listen) {
		return fmt.Errorf("%w: ask the server's administrator for a token (jackfield agent enroll NAME), and run jackfield agent join", err)
	}
	var a *agentd.Agent
	options := agentd.Options{
		Version:      "jackfield " + version,
		Log:          o.log,
		DrainTimeout: file.DrainTimeout,
		Address:      dialRoute,
		Reload: func() (agentd.Offer, error) {
			next, offer, err := r.reload(file, o)
			if err == nil {
				level.Set(next.Log.Level)
				a.SetDrainTimeout(next.DrainTimeout)
			}
			return offer, err
		},
	}
	if file.Listen == nil {
		options.Renewal = member
	}
	a = agentd.New(options, offer)
	ctx, cancel := context.WithCancel(signals.stop)
	defer cancel()
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-signals.hangup:
				a.ReloadNow()
			}
		}
	}()
	if file.Listen != nil {
		err = listenForServers(signals, file.Listen, member, a)
	} else {
		err = a.Dial(signals.stop, agentd.Server{Address: member.Address(), TLS: member.TLS}, signals.cutNow)
	}
	if errors.Is(err, agentd.ErrDrained) || signals.stop.Err() != nil {
		return nil
	}
	return err
}

// reload reads the configuration again, of which some must not have changed.
func (r *agentRun) reload(running *config.AgentFile, o *offering) (*config.AgentFile, agentd.Offer, error) {
	next, err := r.load()
	if err != nil {
		return nil, agentd.Offer{}, errors.New("the configuration has mistakes, which the agent's log names")
	}
	if fixed := running.FixedChanges(next); len(fixed) > 0 {
		return nil, agentd.Offer{}, fmt.Errorf("%s cannot change while the agent runs: restart it", strings.Join(fixed, ", "))
	}
	offer, err := o.offer(next)
	return next, offer, err
}

// An offering makes what an agent offers of its configuration.
type offering struct {
	launcher *command.Launcher
	log      *slog.Logger
}

func (o *offering) offer(file *config.AgentFile) (agentd.Offer, error) {
	allow, err := device.ParseAllowList(file.Allow)
	if err != nil {
		return agentd.Offer{}, fmt.Errorf("allow: %w", err)
	}
	offer := agentd.Offer{
		Allow:  allow.Check,
		Tunnel: agentd.TunnelDefaults{Server: file.Mihini.Server, Local: file.Mihini.Local},
	}
	for _, s := range file.Services {
		route, err := o.route(s)
		if err != nil {
			return agentd.Offer{}, fmt.Errorf("%s: service %q: %w", s.Where, s.Name, err)
		}
		offer.Services = append(offer.Services, agentd.Service{Name: s.Name, Description: s.Description, Route: route})
	}
	return offer, nil
}

func (o *offering) route(s *config.AgentService) (jackfield.Route, error) {
	if s.Command != nil {
		return server.NewCommand(s.Command, s.Program, o.launcher, o.log)
	}
	return dial.New(dial.Options{Addresses: s.Addresses})
}

func dialRoute(address string) (jackfield.Route, error) {
	return dial.New(dial.Options{Addresses: []string{address}})
}
