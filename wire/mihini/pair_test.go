package mihini

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
)

// A pair is our server and our device, joined in memory. Each dial of the device comes to service.
type pair struct {
	t      *testing.T
	server *Server
	device *Device
	link   *memConn // the server's end
	cancel context.CancelCauseFunc
	dialed chan *memConn // the services' ends
	over   sync.WaitGroup
	ends   [2]error // of the server and of the device
}

func newPair(t *testing.T, so ServerOptions, do DeviceOptions) *pair {
	t.Helper()
	p := &pair{t: t, dialed: make(chan *memConn, MaxStreams)}
	near, far := memPair(64 << 10)
	p.link = near
	if do.Allow == nil {
		do.Allow = func(string) error { return nil }
	}
	if do.Dial == nil {
		do.Dial = func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := memPair(64 << 10)
			p.dialed <- theirs
			return ours, nil
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	p.cancel = cancel
	p.device = NewDevice(far, do)
	p.over.Go(func() { p.ends[1] = p.device.Run(ctx) })
	server, err := Accept(ctx, near, so)
	must(t, err)
	p.server = server
	p.over.Go(func() { p.ends[0] = server.Run(ctx) })
	return p
}

var errTestOver = errors.New("test over")

// stop ends both links.
func (p *pair) stop() {
	p.cancel(errTestOver)
	p.over.Wait()
}

// open opens a stream and returns it with its service's end.
func (p *pair) open() (*Stream, *memConn) {
	p.t.Helper()
	s, err := p.server.Open(p.t.Context(), Target{"svc.example", 7777})
	must(p.t, err)
	return s, <-p.dialed
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// say writes text on one end and expects it on the other.
func say(t testing.TB, from io.Writer, to io.Reader, text string) {
	t.Helper()
	if _, err := io.WriteString(from, text); err != nil {
		t.Fatalf("write: %v", err)
	}
	hear(t, to, text)
}

// hear expects text next.
func hear(t testing.TB, from io.Reader, text string) {
	t.Helper()
	got := make([]byte, len(text))
	if n, err := io.ReadFull(from, got); err != nil || string(got) != text {
		t.Fatalf("read %q, %v; want %q", got[:n], err, text)
	}
}

// hearEnd expects the end in order.
func hearEnd(t testing.TB, from io.Reader) {
	t.Helper()
	if n, err := from.Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("read %d bytes, %v; want EOF", n, err)
	}
}

// hearError expects why.
func hearError(t testing.TB, from io.Reader, why error) {
	t.Helper()
	if n, err := from.Read(make([]byte, 1)); !errors.Is(err, why) {
		t.Fatalf("read %d bytes, %v; want %v", n, err, why)
	}
}

func bubble(t *testing.T, f func(*testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func TestBothWays(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPair(t, ServerOptions{CloseDelay: -1}, DeviceOptions{})
		defer p.stop()
		client, service := p.open()
		say(t, client, service, "request")
		must(t, client.CloseWrite())
		hearEnd(t, service)
		say(t, service, client, "answer")
		must(t, service.CloseWrite())
		hearEnd(t, client)
		must(t, client.Close())
		synctest.Wait()
		if s := p.server.Stats(); s.Open != 0 || s.Opened != 1 || s.Strays != 0 || s.ProtocolErrors != 0 {
			t.Errorf("server: %+v", s)
		}
		if s := p.device.Stats(); s.Open != 0 || s.Strays != 0 || s.ProtocolErrors != 0 {
			t.Errorf("device: %+v", s)
		}
		p.stop()
		for _, err := range p.ends {
			if err != errTestOver && err != io.EOF { // whoever is second sees the other's end
				t.Errorf("the link ended with %v", err)
			}
		}
	})
}
