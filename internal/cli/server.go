package cli

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
	"jackfield/internal/admin"
	"jackfield/internal/audit"
	"jackfield/internal/config"
	"jackfield/internal/gateway"
	"jackfield/internal/listen"
	"jackfield/internal/metrics"
	"jackfield/internal/route/command"
)

// A server is a configuration at work, and those that come after it.
type server struct {
	path     string         // of the configuration
	level    *slog.LevelVar // of log
	log      *slog.Logger
	instance *instance
	sessions *gateway.Sessions
	builder  *builder
	launcher *command.Launcher
	audit    *audit.Log
	metrics  *metrics.Metrics
	sockets  *listen.Sockets
	cut      context.CancelCauseFunc // ends what the sockets serve
	admins   []*admin.Server
	ready    atomic.Bool

	reloading sync.Mutex // held during a reload; before mu

	mu      sync.Mutex // guards what follows
	current *generation
	number  int // of the current generation, counted from 1
}

var errStopping = errors.New("server is stopping")

// How long requests on the admin ports may still take when the server stops.
const adminGrace = time.Second

// A start says what a server is started with.
type start struct {
	path   string
	config *config.Config
	level  *slog.LevelVar
	log    *slog.Logger
	extra  jackfield.Recorder // told of everything; may be nil
}

// startServer opens all that a configuration names, in an order that needs privileges first and accepts clients last. The
// caller then calls run.
func startServer(o start) (_ *server, err error) {
	s := &server{path: o.path, level: o.level, log: o.log}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	ctx, cut := context.WithCancelCause(context.Background())
	s.cut = cut
	s.sockets = listen.NewSockets(ctx)
	if err := s.bind(o.config); err != nil {
		return nil, err
	}
	if err := becomeUser(o.config); err != nil {
		return nil, err
	}
	if err := s.openState(o); err != nil {
		return nil, err
	}
	if err := s.install(o.config); err != nil {
		return nil, err
	}
	if err := s.openPort(o.config); err != nil {
		return nil, err
	}
	return s, nil
}

// bind opens the listening sockets, or takes those that systemd opened. Nothing is accepted yet.
func (s *server) bind(c *config.Config) error {
	if err := adoptSockets(s.sockets, c); err != nil {
		return err
	}
	var failures []error
	for _, l := range c.Listeners {
		failures = append(failures, s.sockets.Bind(&listen.Server{Name: l.Name, Address: l.Listen}))
	}
	return errors.Join(failures...)
}

// openState opens what is in data_dir. The admin socket comes first: it finds out whether another server is there.
func (s *server) openState(o start) error {
	c := o.config
	if err := openDataDir(c.DataDir); err != nil {
		return fmt.Errorf("data_dir %s cannot be used: %w (name another one in the configuration, or run as its owner)", c.DataDir, err)
	}
	status := admin.Status{Version: version, PID: os.Getpid(), Started: time.Now()}
	socket, err := admin.ListenSocket(filepath.Join(c.DataDir, admin.SocketName), control{s}, status, s.log)
	if err != nil {
		return err
	}
	s.admins = append(s.admins, socket)
	if s.instance, err = openInstance(c.DataDir); err != nil {
		return err
	}
	s.reportSurvivors() // before this run has any
	s.sessions = gateway.NewSessions(s.instance.run())
	s.audit, err = audit.Open(audit.Options{Path: c.Audit.Path, MaxSize: c.Audit.MaxSize, Keep: c.Audit.Keep, Log: s.log})
	if err != nil {
		return err
	}
	s.metrics = metrics.New(version)
	s.launcher = command.NewLauncher()
	s.builder = &builder{
		gateway:  gateway.Gateway{Sessions: s.sessions, Recorder: s.recorder(o.extra), Log: s.log},
		limits:   new(access.LimitTable),
		launcher: s.launcher,
		log:      s.log,
	}
	return nil
}

// recorder tells the audit log first: it alone can fail.
func (s *server) recorder(extra jackfield.Recorder) jackfield.Recorder {
	if extra == nil {
		return audit.Multi(s.audit, s.metrics)
	}
	return audit.Multi(s.audit, s.metrics, extra)
}

func (s *server) openPort(c *config.Config) error {
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
func (s *server) install(c *config.Config) error {
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
	if err := s.sockets.Swap(next.servers); err != nil {
		return explainBind(err, c)
	}
	next.enforce()
	s.level.Set(c.Log.Level)
	s.audit.SetRotation(c.Audit.MaxSize, c.Audit.Keep)
	s.current = next
	s.number++
	for _, l := range next.servers {
		s.log.Info("listening", "listener", l.Name, "protocol", next.listeners[l.Name].Protocol,
			"address", s.sockets.Addr(l).String(), "generation", s.number)
	}
	return nil
}

// limitSessions keeps the server from accepting more sessions than it has descriptors for.
func limitSessions(c *config.Config, log *slog.Logger) {
	allowed := sessionsAllowed(descriptorLimit())
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

// run serves until ctx ends, then stops: what runs may go on for the drain_timeout, or until cutNow is closed, and is cut
// then.
func (s *server) run(ctx context.Context, cutNow <-chan struct{}) error {
	defer s.close()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var admins sync.WaitGroup
	for _, a := range s.admins {
		admins.Go(func() {
			if err := a.Serve(); err != nil {
				fail(fmt.Errorf("admin: %w", err))
			}
		})
		s.log.Info("listening", "listener", "admin", "protocol", "http", "address", a.Addr().String())
	}
	s.ready.Store(true)
	notifyReady()
	stopWatchdog := feedWatchdog()
	s.log.Info("serving", "version", version, "instance", s.instance.run())

	<-ctx.Done()
	s.ready.Store(false)
	notifyStopping()
	s.drain(cutNow)
	s.shutdownAdmin()
	admins.Wait()
	stopWatchdog()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) && !errors.Is(cause, errStopping) {
		return cause
	}
	return nil
}

// drain stops accepting and waits for the sessions that run, for a time.
func (s *server) drain(cutNow <-chan struct{}) {
	timeout := s.generation().config.DrainTimeout
	s.log.Info("stopping", "sessions", s.sessions.Len(), "drain_timeout", timeout.String())
	s.sockets.StopAccepting()
	served := make(chan struct{})
	go func() { s.sockets.Wait(); close(served) }()
	patience := time.NewTimer(timeout)
	defer patience.Stop()
	select {
	case <-served:
	case <-patience.C:
	case <-cutNow:
	}
	if left := s.sessions.Len(); left > 0 {
		s.log.Warn("cutting sessions", "sessions", left)
	}
	s.cut(errStopping)
	<-served
	s.log.Info("stopped")
}

func (s *server) generation() *generation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

func (s *server) shutdownAdmin() {
	ctx, cancel := context.WithTimeout(context.Background(), adminGrace)
	defer cancel()
	for _, a := range s.admins {
		if err := a.Shutdown(ctx); err != nil {
			s.log.Warn("admin requests were cut", "error", err)
		}
	}
	s.admins = nil
}

// close gives back what startServer took.
func (s *server) close() {
	s.cut(errStopping)
	s.sockets.StopAccepting()
	s.sockets.Wait()
	s.shutdownAdmin()
	if s.launcher != nil {
		s.launcher.Close()
	}
	if s.audit != nil {
		if err := s.audit.Close(); err != nil {
			s.log.Error("audit log", "error", err)
		}
	}
}
