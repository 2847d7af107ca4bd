// Package server is a configuration at work: it makes the listeners, services, routes, policies and records that the
// configuration names, wires them together, and keeps them from the first socket to the last session.
//
//	c, problems := config.Load(path)
//	if c == nil {
//		return problems.WriteText(os.Stderr, false)
//	}
//	s, err := server.Start(server.Options{Path: path, Config: c, Log: log, Level: level, Version: "1.0"})
//	if err != nil {
//		return err
//	}
//	return s.Run(ctx, nil) // until ctx ends
//
// Rules: a reload makes a new generation, swaps it in as one, and leaves sessions that run alone; one that fails changes
// nothing. Listening sockets outlive generations. A server that is started as root opens its sockets first, becomes the user
// that the configuration names, and only then reads what it keeps and serves clients.
//
// The package knows no command line, no terminal and no signals: what those ask for comes through contexts and channels. Per
// connection it does nothing: that is internal/gateway.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"jackfield"
	"jackfield/internal/access"
	"jackfield/internal/access/mapper"
	"jackfield/internal/admin"
	"jackfield/internal/api"
	"jackfield/internal/audit"
	"jackfield/internal/audit/journal"
	"jackfield/internal/config"
	"jackfield/internal/gateway"
	"jackfield/internal/link"
	"jackfield/internal/listen"
	"jackfield/internal/metrics"
	"jackfield/internal/route/command"
)

// A Server is a configuration at work, and those that come after it.
type Server struct {
	path     string         // of the configuration
	level    *slog.LevelVar // of log
	version  string
	log      *slog.Logger
	instance *instance
	state    *state
	sessions *gateway.Sessions
	builder  *builder
	launcher *command.Launcher
	hub      *api.Hub
	api      *api.Server
	metrics  *metrics.Metrics
	sockets  *listen.Sockets
	devices  *link.Devices
	links    agentLinks
	agents   *link.Agents
	offers   *offers
	dialling dialling

	agentBytes agentBytes

	ctx     context.Context         // of what the sockets serve
	cut     context.CancelCauseFunc // ends ctx
	running sync.WaitGroup          // what ends with ctx
	admins  []*admin.Server
	ready   atomic.Bool

	reloading sync.Mutex // held during a reload; before mu
	restoring sync.Mutex // held during a restore

	mu       sync.Mutex // guards what follows
	current  *generation
	number   int  // of the current generation, counted from 1
	stopping bool // no port is opened any more
}

var errStopping = errors.New("server is stopping")

// Options say what a server is started with. All but Recorder must be there.
type Options struct {
	Path     string         // of the configuration's file, which a reload reads again
	Config   *config.Config // what stands in it now
	Log      *slog.Logger
	Level    *slog.LevelVar     // of Log; set to what the configuration says
	Version  string             // of the program, for the log, the metrics and the admin socket
	Recorder jackfield.Recorder // told of every request, after the audit log; may be nil
}

// Start opens all that a configuration names, in an order that needs privileges first and accepts clients last. Clients are
// served from then on. The caller then calls Run, or Close to give it all up. If the configuration names a user, the process
// is that user afterwards, even if Start fails.
func Start(o Options) (_ *Server, err error) {
	s := &Server{path: o.Path, level: o.Level, log: o.Log, version: o.Version}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	s.ctx, s.cut = context.WithCancelCause(context.Background())
	s.sockets = listen.NewSockets(s.ctx)
	if err := s.bind(o.Config); err != nil {
		return nil, err
	}
	if err := becomeUser(o.Config); err != nil {
		return nil, err
	}
	if err := s.open(o); err != nil {
		return nil, err
	}
	if err := s.install(o.Config); err != nil {
		return nil, err
	}
	if err := s.openPort(o.Config); err != nil {
		return nil, err
	}
	s.followDevices(s.ctx)
	s.tellDevices(s.ctx)
	s.tellAgents(s.ctx)
	s.followRoll(s.ctx)
	s.running.Go(func() { s.api.Run(s.ctx) })
	return s, nil
}

// bind opens the listening sockets, or takes those that systemd opened. Nothing is accepted yet.
func (s *Server) bind(c *config.Config) error {
	if err := adoptSockets(s.sockets, c); err != nil {
		return err
	}
	var failures []error
	for _, l := range c.Listeners {
		if waitsForDevice(c, l) {
			continue
		}
		failures = append(failures, s.sockets.Bind(&listen.Server{Name: l.Name, Address: l.Listen}))
	}
	return errors.Join(failures...)
}

// open opens what is in data_dir, and makes what generations have in common. The admin socket comes first: it finds out whether
// another server is there.
func (s *Server) open(o Options) error {
	c := o.Config
	if err := openDataDir(c.DataDir); err != nil {
		return fmt.Errorf("data_dir %s cannot be used: %w (name another one in the configuration, or run as its owner)", c.DataDir, err)
	}
	socket, err := admin.ListenSocket(filepath.Join(c.DataDir, admin.SocketName), s.log)
	if err != nil {
		return err
	}
	s.admins = append(s.admins, socket)
	if s.instance, err = openInstance(c.DataDir); err != nil {
		return err
	}
	s.reportSurvivors() // before this run has any
	if err := removeSpooled(c.DataDir); err != nil {
		return err
	}
	if s.state, err = openState(c, s.instance.name, s.log); err != nil {
		return err
	}
	s.sessions = gateway.NewSessions(s.instance.run())
	s.metrics = metrics.New(s.version)
	s.devices, s.agents = link.NewDevices(), link.NewAgents()
	s.links = liveLinks{s}
	s.offers = newOffers(s)
	s.metrics.Register(deviceMetrics{s.devices})
	s.launcher = command.NewLauncher()
	s.hub = api.NewHub()
	s.api = s.newAPI()
	socket.SetHandler(s.api.Handler(api.Entrance{Listener: "admin", Protocol: "unix", Peer: admin.PeerError}))
	s.builder = &builder{
		gateway:  gateway.Gateway{Sessions: s.sessions, Recorder: s.recorder(o.Recorder), Log: s.log},
		limits:   new(access.LimitTable),
		devices:  s.devices,
		agents:   s.agents,
		offers:   s.offers,
		mappers:  &mapper.Table{Log: s.log, Observe: s.observeMapper},
		launcher: s.launcher,
		state:    s.state,
		api:      s.api,
		observer: s.metrics,
		log:      s.log,
	}
	return nil
}

func (s *Server) newAPI() *api.Server {
	control := control{s}
	return api.New(api.Options{
		Status: api.Status{Version: s.version, PID: os.Getpid(), Started: time.Now(), Node: s.instance.name},
		Log:    s.log,
		NewID:  s.sessions.NewID,
		Audit: func(c *audit.Call) {
			s.state.audit.Called(c)
			s.metrics.Called(c.Method, c.Path, c.Status)
		},
		Hub:           s.hub,
		Directory:     s.state.directory,
		Services:      published{s},
		Sessions:      control,
		Devices:       control,
		Agents:        agents{s},
		Configuration: control,
		Journal:       journal.NewReader(s.state.records),
		Certificates:  certificates{s},
		Backups:       backups{s},
	})
}

func (s *Server) observeMapper(name string, outcome mapper.Outcome, took time.Duration) {
	s.metrics.MapperDecided(name, string(outcome), took)
}

// recorder tells the audit log first: it alone can fail.
func (s *Server) recorder(extra jackfield.Recorder) jackfield.Recorder {
	all := []jackfield.Recorder{s.state.audit, s.metrics, s.hub.Recorder(), &s.agentBytes}
	if extra != nil {
		all = append(all, extra)
	}
	return audit.Multi(all...)
}

func (s *Server) openPort(c *config.Config) error {
	if c.Admin == nil {
		return nil
	}
	port, err := admin.ListenPort(c.Admin.Listen, s.metrics.Handler(), s.ready.Load, s.log)
	if err != nil {
		return err
	}
	s.admins = append(s.admins, port)
	return nil
}

// install puts a configuration to work in place of the current one, if there is one. After an error nothing has changed.
func (s *Server) install(c *config.Config) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	limitSessions(c, s.log)
	next, err := s.builder.build(c)
	if err != nil {
		return err
	}
	if s.current == nil {
		next.enforce() // before the first client
	}
	if err := s.state.configure(c); err != nil {
		next.retire()
		return err
	}
	if err := s.sockets.Swap(next.up()); err != nil {
		next.retire()
		return errors.Join(explainBind(err, c), s.putBack())
	}
	next.enforce()
	s.devices.Cut(next.forbids)
	s.level.Set(c.Log.Level)
	if s.current != nil {
		s.running.Go(s.current.retire)
	}
	s.current = next
	s.number++
	s.offers.renew(next)
	s.running.Go(s.followOffers)
	s.dialAgents(c)
	for _, l := range next.servers {
		if address := s.sockets.Addr(l); address != nil {
			s.log.Info("listening", "listener", l.Name, "protocol", next.listeners[l.Name].Protocol,
				"address", address.String(), "generation", s.number)
		}
	}
	return nil
}

// putBack has the state as the current configuration wants it. It is called with mu held.
func (s *Server) putBack() error {
	if s.current == nil {
		return nil
	}
	return s.state.configure(s.current.config)
}

// limitSessions keeps the server from accepting more sessions than it has descriptors for.
func limitSessions(c *config.Config, log *slog.Logger) {
	allowed, _ := Room()
	limit := &c.Limits.MaxSessions
	switch {
	case allowed == 0:
	case *limit == 0:
		*limit = allowed
	case *limit > allowed:
		log.Warn("max_sessions is more than the limit on open descriptors leaves room for",
			"max_sessions", *limit, "room_for", allowed)
	}
}

func (s *Server) generation() *generation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

// Close stops the server at once, if Run has not, and gives back what Start took.
func (s *Server) Close() {
	s.cut(errStopping)
	s.stopAccepting()
	if s.api != nil {
		s.api.Stop("the server is stopping")
	}
	if g := s.generation(); g != nil {
		g.retire()
	}
	s.sockets.Wait()
	s.shutdownAdmin()
	s.running.Wait()
	if s.builder != nil {
		s.builder.mappers.Close()
	}
	if s.launcher != nil {
		s.launcher.Close()
	}
	if s.state != nil {
		s.state.close()
	}
}
