package admin

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// A Server is a port or a socket that listens.
type Server struct {
	http     *http.Server
	listener net.Listener
	unlock   func() // lets another server have the socket's place; nil for a port
}

func newServer(listener net.Listener, handler http.Handler, log *slog.Logger) *Server {
	server := &Server{
		listener: listener,
		http: &http.Server{
			Handler:           handler,
			ReadHeaderTimeout: 10 * time.Second,
			ReadTimeout:       20 * time.Second,
			WriteTimeout:      time.Minute,
			MaxHeaderBytes:    16 << 10,
			ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		},
	}
	server.http.SetKeepAlivesEnabled(false)
	return server
}

// SetHandler sets what answers requests. It is called before Serve.
func (s *Server) SetHandler(h http.Handler) { s.http.Handler = h }

// Addr is the address that the server listens on.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Serve answers requests until Shutdown, and then returns nil.
func (s *Server) Serve() error {
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Shutdown stops listening, removes a socket, and waits for running requests until ctx ends; then it cuts them.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		s.http.Close()
	}
	s.listener.Close() // http.Server knows the listener only once Serve has run; else it is closed already
	if s.unlock != nil {
		s.unlock()
	}
	return err
}
