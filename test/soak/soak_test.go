package soak

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"jackfield/wire/mihini"
)

const (
	concurrent   = 200 // streams at a time
	queue        = 256 << 10
	stallTimeout = 500 * time.Millisecond
	meanLinkLife = 2 * time.Second
	patience     = time.Minute
)

// TestMihini has 200 streams at a time for as long as the package says.
func TestMihini(t *testing.T) {
	length := 5 * time.Second
	if text := os.Getenv("JACKFIELD_SOAK"); text != "" {
		given, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		length = given
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b := newBench(t, ctx)
	var running sync.WaitGroup
	end := time.Now().Add(length)
	for i := range concurrent {
		running.Go(func() {
			for random := rand.New(rand.NewPCG(1, uint64(i))); time.Now().Before(end) && !t.Failed(); {
				if err := b.talk(ctx, newTalk(random)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	running.Go(func() {
		random := rand.New(rand.NewPCG(2, 0))
		for (time.Now().Before(end) || b.had(deaf) == 0) && !t.Failed() {
			if err := b.talk(ctx, deafTalk(random)); err != nil {
				t.Error(err)
			}
			time.Sleep(rand.N(4 * stallTimeout)) // in which the link is not held up
		}
	})
	running.Wait()
	cancel()
	b.stop()
	b.report(t)
}

// A bench is a server whose device is cut off again and again, and the service behind it.
type bench struct {
	service  net.Listener
	port     net.Listener // of the server, for its device
	server   atomic.Pointer[mihini.Server]
	ledger   *ledger
	linked   chan struct{} // closed when there is a first link
	links    int           // so far; of the server's goroutine
	running  sync.WaitGroup
	services sync.WaitGroup
}

func newBench(t *testing.T, ctx context.Context) *bench {
	b := &bench{service: listen(t), port: listen(t), ledger: &ledger{heard: make(map[uint64]hearing)}, linked: make(chan struct{})}
	context.AfterFunc(ctx, func() {
		b.service.Close()
		b.port.Close()
	})
	b.running.Go(b.serveTalks)
	b.running.Go(func() { b.serveDevice(ctx) })
	b.running.Go(func() { b.dial(ctx) })
	<-b.linked
	return b
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func (b *bench) stop() {
	b.running.Wait()
	b.services.Wait()
}

// serveTalks is the service.
func (b *bench) serveTalks() {
	for {
		conn, err := b.service.Accept()
		if err != nil {
			return
		}
		b.services.Go(func() { b.ledger.serve(conn) })
	}
}

// serveDevice is the server: it serves one link after the other, and cuts it after a while.
func (b *bench) serveDevice(ctx context.Context) {
	for {
		conn, err := b.port.Accept()
		if err != nil {
			return
		}
		server, err := mihini.Accept(ctx, conn, mihini.ServerOptions{
			Options: mihini.Options{
				Queue: queue, StallTimeout: stallTimeout,
				ProtocolError: func(err error) { b.ledger.fail("the device broke the protocol: %w", err) },
			},
			CloseDelay: -1,
		})
		if err != nil {
			conn.Close()
			if ctx.Err() == nil {
				b.ledger.fail("link %d: %w", b.links, err)
			}
			continue
		}
		b.server.Store(server)
		if b.links++; b.links == 1 {
			close(b.linked)
		}
		cut := time.AfterFunc(rand.N(2*meanLinkLife), func() { sever(conn) })
		server.Run(ctx)
		cut.Stop()
	}
}

// sever ends a connection, with or without a reset.
func sever(conn net.Conn) {
	if rand.N(2) == 0 {
		conn.(*net.TCPConn).SetLinger(0)
	}
	conn.Close()
}

// dial is the device, which comes back at once.
func (b *bench) dial(ctx context.Context) {
	for ctx.Err() == nil {
		conn, err := net.Dial("tcp", b.port.Addr().String())
		if err != nil {
			continue
		}
		mihini.NewDevice(conn, mihini.DeviceOptions{
			Options: mihini.Options{
				Queue: queue, StallTimeout: patience, // the service is patient
				ProtocolError: func(err error) { b.ledger.fail("the server broke the protocol: %w", err) },
			},
			Allow: func(string) error { return nil },
		}).Run(ctx)
	}
}

// talk has one talk, if there is a link.
func (b *bench) talk(ctx context.Context, t talk) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	address := b.service.Addr().(*net.TCPAddr)
	stream, err := b.server.Load().Open(ctx, mihini.Target{Address: address.IP.String(), Port: uint16(address.Port)})
	switch {
	case errors.Is(err, mihini.ErrLinkLost), errors.Is(err, mihini.ErrBusy):
		b.ledger.count(&b.ledger.busy)
		time.Sleep(time.Millisecond) // until the device has come back: a pause, not a condition
		return nil
	case err != nil:
		return err
	}
	stream.SetDeadline(time.Now().Add(patience))
	return b.ledger.ask(ctx, stream, t)
}

// had is how many talks have been had by a plot.
func (b *bench) had(p plot) int {
	b.ledger.mu.Lock()
	defer b.ledger.mu.Unlock()
	return b.ledger.talks[p]
}

// report says what was had, and wants something of everything.
func (b *bench) report(t *testing.T) {
	l := b.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, err := range l.failures {
		t.Error(err)
	}
	t.Logf("links: %d, talks by plot: %v, lost with a link: %d, without a link or id: %d", b.links, l.talks, l.lost, l.busy)
	for plot, n := range l.talks {
		if n == 0 {
			t.Errorf("no talk went by plot %d", plot)
		}
	}
	if b.links < 2 || l.lost == 0 {
		t.Error("no link was cut")
	}
}
