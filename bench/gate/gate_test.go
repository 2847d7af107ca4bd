//go:build linux

package gate

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"jackfield/bench/backend"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A path is a forwarder's address and the backend's.
type path struct{ through, service string }

func (p path) Service() string { return p.service }

func (p path) Dial(ctx context.Context) (*net.TCPConn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp4", p.through)
	if err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	return c.(*net.TCPConn), c.SetDeadline(deadline)
}

// serve runs a server until the test's end.
func serve(t *testing.T, server func(net.Listener)) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { server(l) })
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return l.Addr().String()
}

func startBackend(t *testing.T) string {
	address := serve(t, func(l net.Listener) { _ = backend.Serve(l) })
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := backend.WaitQuiet(ctx, address); err != nil {
			t.Errorf("connections are left at the service: %v", err)
		}
	})
	return address
}

// A joiner joins a client and a service, its own way.
type joiner func(client, service *net.TCPConn)

// forward puts a forwarder in front of the service.
func forward(t *testing.T, service string, join joiner) string {
	return serve(t, func(l net.Listener) {
		var wg sync.WaitGroup
		defer wg.Wait()
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer client.Close()
				c, err := net.Dial("tcp4", service)
				if err != nil {
					return
				}
				defer c.Close()
				join(client.(*net.TCPConn), c.(*net.TCPConn))
			})
		}
	})
}

// exact is a forwarder that does everything right.
func exact(client, service *net.TCPConn) {
	var wg sync.WaitGroup
	wg.Go(func() { pump(service, client) })
	wg.Go(func() { pump(client, service) })
	wg.Wait()
}

func pump(to, from *net.TCPConn) {
	_, err := io.Copy(to, from)
	if errors.Is(err, syscall.ECONNRESET) {
		_ = to.SetLinger(0)
		to.Close()
		return
	}
	_ = to.CloseWrite()
}

// hasty closes both sides when one of them has finished.
func hasty(client, service *net.TCPConn) {
	var wg sync.WaitGroup
	for _, way := range [][2]*net.TCPConn{{service, client}, {client, service}} {
		wg.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			client.Close()
			service.Close()
		})
	}
	wg.Wait()
}

// polite turns every reset into an end in order.
func polite(client, service *net.TCPConn) {
	var wg sync.WaitGroup
	for _, way := range [][2]*net.TCPConn{{service, client}, {client, service}} {
		wg.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			_ = way[0].CloseWrite()
		})
	}
	wg.Wait()
}

// careless changes the last byte of every chunk that is long.
func careless(client, service *net.TCPConn) {
	var wg sync.WaitGroup
	for _, way := range [][2]*net.TCPConn{{service, client}, {client, service}} {
		wg.Go(func() {
			buffer := make([]byte, 4096)
			for {
				n, err := way[1].Read(buffer)
				if n == len(buffer) {
					buffer[n-1] ^= 1
				}
				if _, werr := way[0].Write(buffer[:n]); werr != nil || err != nil {
					_ = way[0].CloseWrite()
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestGatesTellForwardersApart(t *testing.T) {
	const ( // in the order of All
		clientFirst = iota
		serviceFirst
		clientReset
		serviceReset
		sumUp
		sumDown
	)
	for _, c := range []struct {
		name  string
		join  joiner
		gates []int
		pass  bool
	}{
		{"exact", exact, []int{clientFirst, serviceFirst, clientReset, serviceReset, sumUp, sumDown}, true},
		{"hasty", hasty, []int{clientFirst, serviceFirst}, false},
		{"hasty, but true to the byte", hasty, []int{sumDown}, true},
		{"polite", polite, []int{clientReset, serviceReset}, false},
		{"polite, but true to the byte", polite, []int{clientFirst, serviceFirst, sumUp, sumDown}, true},
		{"careless", careless, []int{sumUp, sumDown}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			service := startBackend(t)
			p := path{through: forward(t, service, c.join), service: service}
			gates := All(4, 1<<20)
			for _, k := range c.gates {
				r := gates[k].Run(t.Context(), p)
				if c.pass && !r.OK() {
					t.Errorf("%s: %d of %d passed: %s", r.Gate, r.Passed, r.Tries, r.Failure)
				}
				if !c.pass && (r.Passed != 0 || r.Failure == "") {
					t.Errorf("%s: %d of %d passed: %s", r.Gate, r.Passed, r.Tries, r.Failure)
				}
			}
		})
	}
}

func TestGatesPassWithoutAForwarder(t *testing.T) {
	service := startBackend(t)
	for _, g := range All(20, 2<<20) {
		if r := g.Run(t.Context(), path{service, service}); !r.OK() {
			t.Errorf("%s: %d of %d passed: %s", r.Gate, r.Passed, r.Tries, r.Failure)
		}
	}
}
