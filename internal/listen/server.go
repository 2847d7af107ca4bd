// Package listen is what all listeners have in common: the accept loop, the client's true address, and a refusal that
// arrives. Each protocol has a directory below it, which translates between bytes and the gateway.
package listen

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"jackfield/internal/proxyproto"
)

// A Client is an accepted connection with the addresses that policies go by.
type Client struct {
	Conn   *net.TCPConn
	Source netip.AddrPort // the client, as a trusted proxy names it where there is one
	Local  netip.AddrPort

	draining chan struct{} // the server's refused clients that are being drained
}

// A Handler speaks a listener's protocol. Serve is called in a goroutine of its own for each client; it closes the
// connection and returns soon after ctx has ended.
type Handler interface {
	Serve(ctx context.Context, c *Client)
}

// A Server accepts clients on one socket and gives them to a handler.
type Server struct {
	Name    string
	Handler Handler
	Log     *slog.Logger

	// ProxyFrom lists the addresses of proxies that begin each connection with a PROXY protocol header. From them the
	// header is required; from anybody else it is not looked for, so nobody can claim another's address.
	ProxyFrom []netip.Prefix
}

// How long a trusted proxy may take to send its header.
const proxyHeaderTimeout = 5 * time.Second

// Serve accepts until ctx ends. It closes ln, waits for all its handlers and returns nil; any other return is a listener
// that broke.
func (s *Server) Serve(ctx context.Context, ln *net.TCPListener) error {
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	defer ln.Close()
	draining := make(chan struct{}, drainers)
	var handlers sync.WaitGroup
	defer handlers.Wait()
	var retry backoff
	for {
		conn, err := ln.AcceptTCP()
		switch {
		case err == nil:
			retry.reset()
			handlers.Go(func() { s.serve(ctx, newClient(conn, draining)) })
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		default:
			s.pause(ctx, &retry, err)
		}
	}
}

// pause waits out an accept error: most often descriptors have run out, and the next client waits in the kernel's queue.
func (s *Server) pause(ctx context.Context, retry *backoff, err error) {
	delay := retry.next()
	if delay == firstDelay {
		s.Log.Warn("cannot accept connections for now", "listener", s.Name, "error", err)
	}
	select {
	case <-ctx.Done():
	case <-time.After(delay):
	}
}

func newClient(conn *net.TCPConn, draining chan struct{}) *Client {
	return &Client{
		Conn:     conn,
		Source:   addrPort(conn.RemoteAddr()),
		Local:    addrPort(conn.LocalAddr()),
		draining: draining,
	}
}

func (s *Server) serve(ctx context.Context, client *Client) {
	if s.behindProxy(client.Source.Addr()) && !s.readProxyHeader(client) {
		return
	}
	s.Handler.Serve(ctx, client)
}

func (s *Server) behindProxy(a netip.Addr) bool {
	for _, prefix := range s.ProxyFrom {
		if prefix.Contains(a) {
			return true
		}
	}
	return false
}

func (s *Server) readProxyHeader(c *Client) bool {
	addresses, err := proxyproto.Accept(c.Conn, proxyHeaderTimeout)
	if err != nil {
		s.Log.Info("connection closed: no PROXY protocol header from a trusted proxy",
			"listener", s.Name, "source", c.Source, "error", err)
		c.Reset()
		return false
	}
	c.Source, c.Local = addresses.Source, addresses.Local
	return true
}

func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

const (
	firstDelay = 5 * time.Millisecond
	maxDelay   = time.Second
)

type backoff struct{ delay time.Duration }

func (b *backoff) next() time.Duration {
	b.delay = min(max(2*b.delay, firstDelay), maxDelay)
	return b.delay
}

func (b *backoff) reset() { b.delay = 0 }
