package tcpmux

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// A transport makes pairs of connected streams with half-close. Every test that can runs over all of them.
type transport struct {
	name   string
	listen func(testing.TB) pairs
}

type pairs func() (client, server halfConn)

type halfConn interface {
	net.Conn
	closeWriter
}

var transports = []transport{
	{"memory", func(testing.TB) pairs { return memoryPair }},
	{"tcp", func(t testing.TB) pairs { return socketPairs(t, "tcp", "127.0.0.1:0") }},
	{"tcp, hidden", func(t testing.TB) pairs { return hidden(socketPairs(t, "tcp", "127.0.0.1:0")) }},
	{"unix", func(t testing.TB) pairs { return socketPairs(t, "unix", filepath.Join(t.TempDir(), "s")) }},
	{"tls", tlsPairs},
}

// overTransports runs a test over every transport.
func overTransports(t *testing.T, test func(*testing.T, pairs)) {
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) { test(t, tr.listen(t)) })
	}
}

// A memoryConn is two pipes, one per direction: each Write is one Read, or more, of the other end.
type memoryConn struct {
	net.Conn // what the other end writes
	out      net.Conn
}

func memoryPair() (client, server halfConn) {
	a, b := net.Pipe()
	c, d := net.Pipe()
	return memoryConn{a, c}, memoryConn{d, b}
}

func (c memoryConn) Write(p []byte) (int, error)        { return c.out.Write(p) }
func (c memoryConn) CloseWrite() error                  { return c.out.Close() }
func (c memoryConn) Close() error                       { return errors.Join(c.Conn.Close(), c.out.Close()) }
func (c memoryConn) SetWriteDeadline(t time.Time) error { return c.out.SetWriteDeadline(t) }
func (c memoryConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

func socketPairs(t testing.TB, network, address string) pairs {
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return func() (client, server halfConn) {
		c := must(net.Dial(network, listener.Addr().String()))
		s := must(listener.Accept())
		return c.(halfConn), s.(halfConn)
	}
}

// hidden returns the same sockets in a wrapper, so that they cannot be peeked.
func hidden(sockets pairs) pairs {
	type wrapper struct{ halfConn }
	return func() (client, server halfConn) {
		c, s := sockets()
		return wrapper{c}, wrapper{s}
	}
}

func tlsPairs(t testing.TB) pairs {
	https := httptest.NewTLSServer(nil) // for its certificate
	https.Close()
	config := https.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	config.ServerName = "example.com"
	sockets := socketPairs(t, "tcp", "127.0.0.1:0")
	return func() (client, server halfConn) {
		c, s := sockets()
		tlsClient := tls.Client(c, config)
		tlsServer := tls.Server(s, &tls.Config{Certificates: https.TLS.Certificates})
		var handshake sync.WaitGroup
		handshake.Go(func() { check(t, tlsServer.Handshake()) })
		check(t, tlsClient.Handshake())
		handshake.Wait()
		return tlsClient, tlsServer
	}
}

// must is for what only a broken machine lets fail.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// check reports an unexpected error.
func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}
