package mihini

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// An originalDevice does what the original device program was seen to do, including what this package must bear with:
// the service is closed at once on CLOSE; each DATA for what is not open is answered with CLOSE; header and payload
// come in two writes, in frames of up to 65535 bytes; a CONNECT is dialled inline.
type originalDevice struct {
	conn    *memConn
	serve   func(net.Conn)
	sending chan struct{} // a lock that may be held while the clock of a bubble goes on
	mu      sync.Mutex
	open    map[uint8]net.Conn
	running sync.WaitGroup
}

func (d *originalDevice) send(f Frame) {
	d.sending <- struct{}{}
	defer func() { <-d.sending }()
	wire, _ := AppendFrame(nil, f)
	d.conn.Write(wire[:HeaderSize])
	d.conn.Write(wire[HeaderSize:])
}

func (d *originalDevice) run() {
	defer d.running.Wait()
	d.send(Frame{Listen, 0, nil})
	in := NewReader(d.conn)
	for {
		f, err := in.Next()
		if err != nil {
			break
		}
		d.mu.Lock()
		service := d.open[f.ID]
		d.mu.Unlock()
		switch {
		case f.Command == Connect:
			near, far := memPair(64 << 10)
			d.mu.Lock()
			d.open[f.ID] = near
			d.mu.Unlock()
			d.running.Go(func() { d.serve(far); far.Close() })
			d.running.Go(func() { d.read(f.ID, near) })
		case f.Command == Data && service == nil:
			d.send(Frame{Close, f.ID, nil})
		case f.Command == Data:
			service.Write(f.Payload)
		case f.Command == Close && service != nil:
			service.Close() // read answers
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, service := range d.open {
		service.Close()
	}
}

func (d *originalDevice) read(id uint8, service net.Conn) {
	buf := make([]byte, MaxPayload)
	for {
		n, err := service.Read(buf)
		if err != nil {
			break
		}
		d.send(Frame{Data, id, buf[:n]})
	}
	service.Close()
	d.mu.Lock()
	delete(d.open, id)
	d.mu.Unlock()
	d.send(Frame{Close, id, nil})
}

// delayedPair is a connection that takes 5 ms each way.
func delayedPair(over *sync.WaitGroup) (a, b *memConn) {
	a, x := memPair(64 << 10)
	y, b := memPair(64 << 10)
	pass := func(to, from *memConn) {
		buf := make([]byte, 64<<10)
		for {
			n, err := from.Read(buf)
			if err != nil {
				to.Close()
				return
			}
			time.Sleep(5 * time.Millisecond)
			to.Write(buf[:n])
		}
	}
	over.Go(func() { pass(x, y) })
	over.Go(func() { pass(y, x) })
	return a, b
}

func withOriginalDevice(t *testing.T, serve func(net.Conn)) *Server {
	var over sync.WaitGroup
	near, far := delayedPair(&over)
	d := &originalDevice{conn: far, serve: serve, sending: make(chan struct{}, 1), open: map[uint8]net.Conn{}}
	ctx, cancel := context.WithCancel(t.Context())
	over.Go(d.run)
	server, err := Accept(ctx, near, ServerOptions{})
	must(t, err)
	over.Go(func() { server.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		far.Close()
		over.Wait()
	})
	return server
}

// A request, the client's half-close, an answer at the end of the line after some thought: 100 of 100.
func TestM4AnswerAfterHalfCloseFromOriginalDevice(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server := withOriginalDevice(t, func(c net.Conn) {
			line := make([]byte, 100)
			n, _ := c.Read(line)
			time.Sleep(DefaultCloseDelay / 2)
			fmt.Fprintf(c, "answer to %s", line[:n])
		})
		for i := range 100 {
			s, err := server.Open(t.Context(), Target{"svc", 1})
			must(t, err)
			fmt.Fprintf(s, "request %d\n", i)
			s.CloseWrite()
			if got, err := io.ReadAll(s); err != nil || string(got) != fmt.Sprintf("answer to request %d\n", i) {
				t.Fatalf("%q, %v", got, err)
			}
			s.Close()
		}
	})
}

// A thousand streams, of which the service closes many while the client still talks, so that CLOSEs come after the
// CLOSE.
func TestM2ThousandStreamsOfOriginalDevice(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server := withOriginalDevice(t, func(c net.Conn) {
			first := make([]byte, 4)
			io.ReadFull(c, first)
			c.Write(bytes.Repeat(first, 1000))
		})
		var all sync.WaitGroup
		for worker := range 200 {
			all.Go(func() {
				for i := range 5 {
					name := fmt.Sprintf("%4d", worker*5+i)
					s, err := server.Open(t.Context(), Target{"svc", 1})
					if err != nil {
						t.Errorf("stream %s: %v", name, err)
						return
					}
					for range 5 { // the service has gone at the first, which nobody here knows before 10 ms
						io.WriteString(s, name)
						time.Sleep(4 * time.Millisecond)
					}
					if got, err := io.ReadAll(s); err != nil || string(got) != strings.Repeat(name, 1000) {
						t.Errorf("stream %s: %d bytes, %v", name, len(got), err)
					}
					s.Close()
				}
			})
		}
		all.Wait()
		if s := server.Stats(); s.Strays == 0 {
			t.Errorf("no CLOSE came late: %+v", s)
		}
	})
}

// An originalServer does what the original server program was seen to do: ids count up without a look, DATA may come
// before CONNECT, a client's end is CLOSE at once; and it breaks if a header comes in two pieces.
func TestOriginalServer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, server, dialed := scriptedServer(t, DeviceOptions{HoldEarlyData: true})
		for round := range 600 {
			id := uint8(round + 1)
			name := fmt.Sprintf("client %d", round)
			early := round < 255 && round%2 == 0 // later, the id is known
			if early {
				server.send(data(id, name), connectTo(id, "svc", 1))
			} else {
				server.send(connectTo(id, "svc", 1), data(id, name))
			}
			service := <-dialed
			hear(t, service, name)
			answer(t, service, server, id, "answer to "+name)
			if round%3 == 0 {
				service.CloseWrite()
				server.expect(closeOf(id))
				server.send(closeOf(id))
				hearEnd(t, service)
			} else {
				server.send(closeOf(id))
				hearEnd(t, service)
				service.Close()
				server.expect(closeOf(id))
			}
		}
		server.quiet()
	})
}

func answer(t *testing.T, service net.Conn, server *script, id uint8, text string) {
	t.Helper()
	if _, err := io.WriteString(service, text); err != nil {
		t.Fatal(err)
	}
	server.expect(data(id, text))
}
