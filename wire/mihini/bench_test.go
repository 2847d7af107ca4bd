package mihini

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
)

// overTCP returns a server whose device, in this process, dials address over TCP.
func overTCP(b *testing.B, address string) *Server {
	b.Helper()
	near, far := tcpPair(b)
	ctx, cancel := context.WithCancel(b.Context())
	device := NewDevice(far, DeviceOptions{
		Allow: func(string) error { return nil },
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
	})
	var over sync.WaitGroup
	over.Go(func() { device.Run(ctx) })
	server, err := Accept(ctx, near, ServerOptions{CloseDelay: -1})
	must(b, err)
	over.Go(func() { server.Run(ctx) })
	b.Cleanup(func() { cancel(); over.Wait() })
	return server
}

func tcpPair(b testing.TB) (a, z net.Conn) {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(b, err)
	defer listener.Close()
	a, err = net.Dial("tcp", listener.Addr().String())
	must(b, err)
	z, err = listener.Accept()
	must(b, err)
	return a, z
}

// service serves every connection with f until the benchmark ends.
func service(b *testing.B, f func(*net.TCPConn)) (address string) {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(b, err)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				f(conn.(*net.TCPConn))
			})
		}
	})
	b.Cleanup(func() { listener.Close(); serving.Wait() })
	return listener.Addr().String()
}

// BenchmarkBulk measures one stream from the service to the client, with everything in this process.
func BenchmarkBulk(b *testing.B) {
	block := make([]byte, 1<<20)
	server := overTCP(b, service(b, func(c *net.TCPConn) {
		for {
			if _, err := c.Write(block); err != nil {
				return
			}
		}
	}))
	stream, err := server.Open(b.Context(), Target{"svc", 1})
	must(b, err)
	b.Cleanup(func() { stream.Close() })
	b.SetBytes(int64(len(block)))
	buf := make([]byte, len(block))
	for b.Loop() {
		if _, err := io.ReadFull(stream, buf); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpen measures a stream from CONNECT to both CLOSEs, with one byte each way.
func BenchmarkOpen(b *testing.B) {
	server := overTCP(b, service(b, func(c *net.TCPConn) { io.Copy(c, struct{ io.Reader }{c}) }))
	buf := make([]byte, 1)
	for b.Loop() {
		stream, err := server.Open(b.Context(), Target{"svc", 1})
		must(b, err)
		stream.Write(buf)
		stream.CloseWrite()
		if _, err := io.ReadFull(stream, buf); err != nil {
			b.Fatal(err)
		}
		stream.Close()
	}
}
