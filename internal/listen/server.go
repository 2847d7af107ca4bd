// Package listen is what all listeners have in common: the sockets and their accept loops, the client's true address, and
// a refusal that arrives. Each protocol has a directory below it, which translates between bytes and the gateway.
//
// Sockets outlive configurations. The accept loop of a socket gives each client to the Server that the socket has now, so
// a reload neither closes a socket that is still wanted nor loses a connection that waits in its queue.
package listen

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"jackfield/internal/proxyproto"
)

// A Client is an accepted connection with the addresses that policies go by.
type Client struct {
	Conn   *net.TCPConn
	Source netip.AddrPort // the client, as a trusted proxy names it where there is one
	Local  netip.AddrPort

	rooms *rooms
}

// A Handler speaks a listener's protocol. Serve is called in a goroutine of its own for each client; it closes the
// connection and returns soon after ctx has ended.
type Handler interface {
	Serve(ctx context.Context, c *Client)
}

// A Server is what one generation of the configuration does with the clients of one socket.
type Server struct {
	Name    string
	Address string // "host:port"; port 0 is one that the system chooses, and then the name's as long as the name is there
	Handler Handler
	Log     *slog.Logger

	// ProxyFrom lists the addresses of proxies that begin each connection with a PROXY protocol header. From them the
	// header is required; from anybody else it is not looked for, so nobody can claim another's address.
	ProxyFrom []netip.Prefix
}

// How long a trusted proxy may take to send its header.
const proxyHeaderTimeout = 5 * time.Second

func (s *Server) serve(ctx context.Context, conn *net.TCPConn, rooms *rooms) {
	client := &Client{
		Conn:   conn,
		Source: addrPort(conn.RemoteAddr()),
		Local:  addrPort(conn.LocalAddr()),
		rooms:  rooms,
	}
	if s.behindProxy(client.Source.Addr()) && !s.readProxyHeader(ctx, client) {
		return
	}
	s.Handler.Serve(ctx, client)
}

func (s *Server) behindProxy(a netip.Addr) bool {
	for _, prefix := range s.ProxyFrom {
		if prefix.Contains(a.WithZone("")) {
			return true
		}
	}
	return false
}

func (s *Server) readProxyHeader(ctx context.Context, c *Client) bool {
	leave, ok := enter(c.rooms.headers)
	if !ok {
		c.Reset()
		return false
	}
	defer leave()
	stop := context.AfterFunc(ctx, func() { c.Conn.Close() })
	defer stop()
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
