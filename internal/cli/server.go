package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"jackfield"
	"jackfield/internal/admin"
	"jackfield/internal/audit"
	"jackfield/internal/config"
	"jackfield/internal/gateway"
	"jackfield/internal/metrics"
)

// A server is a configuration at work.
type server struct {
	config  *config.Config
	log     *slog.Logger
	gateway *gateway.Gateway
	audit   *audit.Log
	metrics *metrics.Metrics
	doors   []door
	sockets []*net.TCPListener // of the doors, in their order
	admins  []*admin.Server
	ready   atomic.Bool
}

var errStopping = errors.New("server is stopping")

// How long requests on the admin ports may still take when the server stops.
const adminGrace = time.Second

// startServer opens everything that a configuration names: after it, nothing is missing that could be found missing. The
// extra recorder may be nil. The caller calls Run, or Close.
func startServer(c *config.Config, log *slog.Logger, extra jackfield.Recorder) (_ *server, err error) {
	s := &server{config: c, log: log}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	s.limitSessions()
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("data_dir: %w", err)
	}
	sessions := gateway.NewSessions(newInstance())
	if err := s.openSocket(sessions); err != nil { // first: it finds out whether another server has this data_dir
		return nil, err
	}
	recorder, err := s.openRecorder(extra)
	if err != nil {
		return nil, err
	}
	s.gateway = &gateway.Gateway{Sessions: sessions, Recorder: recorder, Log: log}
	if s.doors, err = build(c, s.gateway, log); err != nil {
		return nil, err
	}
	if err := s.bind(); err != nil {
		return nil, err
	}
	return s, s.openPort()
}

// openRecorder opens the audit log, which can fail and comes first, and the metrics.
func (s *server) openRecorder(extra jackfield.Recorder) (jackfield.Recorder, error) {
	log, err := audit.Open(audit.Options{
		Path: s.config.Audit.Path, MaxSize: s.config.Audit.MaxSize, Keep: s.config.Audit.Keep, Log: s.log,
	})
	if err != nil {
		return nil, err
	}
	s.audit, s.metrics = log, metrics.New(version)
	recorders := []jackfield.Recorder{s.audit, s.metrics}
	if extra != nil {
		recorders = append(recorders, extra)
	}
	return audit.Multi(recorders...), nil
}

// limitSessions keeps the server from accepting more sessions than it has descriptors for.
func (s *server) limitSessions() {
	allowed := sessionsAllowed(descriptorLimit())
	limit := &s.config.Limits.MaxSessions
	switch {
	case allowed == 0:
	case *limit == 0:
		*limit = allowed
	case *limit > allowed:
		s.log.Warn("max_sessions is more than the limit on open descriptors leaves room for",
			"max_sessions", *limit, "room_for", allowed)
	}
}

// newInstance names this run of the server: it begins the short ids of its requests.
func newInstance() string { return strings.ToLower(rand.Text()[:4]) }

func (s *server) bind() error {
	for _, d := range s.doors {
		ln, err := net.Listen("tcp", d.address)
		if err != nil {
			return fmt.Errorf("listener %q: %w", d.server.Name, err)
		}
		s.sockets = append(s.sockets, ln.(*net.TCPListener))
	}
	return nil
}

func (s *server) openSocket(sessions *gateway.Sessions) error {
	status := admin.Status{Version: version, PID: os.Getpid(), Started: time.Now()}
	socket, err := admin.ListenSocket(s.socketPath(), liveSessions{sessions}, status, s.log)
	if err != nil {
		return err
	}
	s.admins = append(s.admins, socket)
	return nil
}

func (s *server) openPort() error {
	if s.config.Admin == nil {
		return nil
	}
	port, err := admin.ListenPort(s.config.Admin.Listen, s.metrics.Handler(), s.ready.Load, s.log)
	if err != nil {
		return err
	}
	s.admins = append(s.admins, port)
	return nil
}

func (s *server) socketPath() string { return filepath.Join(s.config.DataDir, admin.SocketName) }

// run serves until ctx ends or a socket breaks. Sessions that still run then are cut.
func (s *server) run(ctx context.Context) error {
	defer s.close()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var running sync.WaitGroup
	for i, d := range s.doors {
		running.Go(func() {
			if err := d.server.Serve(ctx, s.sockets[i]); err != nil {
				stop(fmt.Errorf("listener %q: %w", d.server.Name, err))
			}
		})
		s.log.Info("listening", "listener", d.server.Name, "protocol", d.protocol, "address", s.sockets[i].Addr().String())
	}
	for _, a := range s.admins {
		running.Go(func() {
			if err := a.Serve(); err != nil {
				stop(fmt.Errorf("admin: %w", err))
			}
		})
		s.log.Info("listening", "listener", "admin", "protocol", "http", "address", a.Addr().String())
	}
	s.ready.Store(true)
	s.log.Info("serving", "version", version, "max_sessions", s.config.Limits.MaxSessions)

	<-ctx.Done()
	s.ready.Store(false)
	s.log.Info("stopping", "sessions", s.gateway.Sessions.Len())
	s.shutdownAdmin()
	running.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, errStopping) {
		return cause
	}
	return nil
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
	s.shutdownAdmin()
	for _, ln := range s.sockets {
		ln.Close()
	}
	if s.audit != nil {
		if err := s.audit.Close(); err != nil {
			s.log.Error("audit log", "error", err)
		}
	}
}

// liveSessions shows the gateway's sessions to those who administer.
type liveSessions struct{ *gateway.Sessions }

func (l liveSessions) List() []admin.Session {
	var list []admin.Session
	for _, live := range l.Sessions.List() {
		list = append(list, admin.Session{
			ID:               live.ID,
			Listener:         live.Listener,
			Protocol:         live.Protocol,
			Source:           live.Source,
			User:             live.Identity.User,
			Service:          string(live.Service),
			Route:            live.Route,
			Started:          live.Time,
			BytesFromClient:  live.Transfer.FromClient,
			BytesFromService: live.Transfer.FromService,
		})
	}
	return list
}
