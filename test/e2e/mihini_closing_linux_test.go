package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"jackfield/test/live"
	peers "jackfield/test/peers/mihini"
	"jackfield/wire/mihini"
)

// The three closing cases of the Mihini document, figure 5. Each CLOSE is answered once, and the id is free afterwards.

// TestClientCloses: the service sees the end, and the device is told by one CLOSE.
func TestClientCloses(t *testing.T) {
	t.Parallel()
	f := newField(t, fieldConfig)
	c := f.client(t, "echo")
	say(t, c, "hello")
	expect(t, c, "hello")
	c.Close()
	f.expectIdle(t, "meter", "echo")
	if err := f.meter.WaitFor(func(output string) bool {
		return len(live.Select(output, live.Equal("msg", "stream closed"), live.Equal("bytes_to_service", "5"))) == 1
	}); err != nil {
		t.Error(err)
	}

	odd := f.link(t, "odd", 1)
	c, id := f.open(t, odd)
	say(t, c, "bye")
	c.Close()
	odd.expect(t, frame(mihini.Data, id, "bye"), frame(mihini.Close, id, ""))
	odd.send(t, frame(mihini.Close, id, ""))
	f.expectIdle(t, "odd", "odd")
}

// TestServiceCloses: the client gets all that the service said, and then its end.
func TestServiceCloses(t *testing.T) {
	t.Parallel()
	f := newField(t, fieldConfig)
	odd := f.link(t, "odd", 1)
	c, id := f.open(t, odd)
	last := strings.Repeat("last words ", 5000)
	odd.send(t, frame(mihini.Data, id, last), frame(mihini.Close, id, ""))
	expect(t, c, last)
	expectEnd(t, c, "FIN")
	c.Close()
	odd.expect(t, frame(mihini.Close, id, ""))
	f.expectIdle(t, "odd", "odd")

	c = f.client(t, "reply")
	say(t, c, "all")
	c.CloseWrite()
	expect(t, c, "got all")
	expectEnd(t, c, "FIN")
	c.Close()
	f.expectIdle(t, "meter", "reply")
}

// TestLinkSevered: clients and services are closed on both sides, whatever becomes of the link, and the device comes back.
// What was cut off never looks complete.
func TestLinkSevered(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		sever func(*net.TCPConn)
	}{
		{"reset", func(link *net.TCPConn) {
			link.SetLinger(0)
			link.Close()
		}},
		{"ended", func(link *net.TCPConn) { link.Close() }},
	} {
		t.Run(test.name, func(t *testing.T) {
			gone := make(chan struct{}, 2)
			service, stop, err := startBackend(func(_ context.Context, conn *net.TCPConn) {
				io.Copy(conn, conn)
				gone <- struct{}{}
			})
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
			f := newField(t, strings.ReplaceAll(fieldConfig, "svc.example:7777", service))
			cable := newCable(t, f.Addresses["odd"])
			startDevice(t, cable.address)
			f.awaitDevice(t, "odd", 1)

			c := f.client(t, "odd")
			say(t, c, "hello")
			expect(t, c, "hello")
			cable.cut(test.sever)
			expectEnd(t, c, "RST")
			c.Close()
			select {
			case <-gone:
			case <-time.After(live.Patience):
				t.Error("the service's connection is open still")
			}
			f.expectClosed(t, "odd", 1)
			f.awaitDevice(t, "odd", 2)
			c = f.client(t, "odd")
			say(t, c, "again")
			expect(t, c, "again")
			f.check(t)
		})
	}
}

// expectIdle waits until no stream of a device holds an id, and the only session of the service is on record, in order.
func (f *field) expectIdle(t *testing.T, device, service string) {
	t.Helper()
	if !eventually(func() bool { return f.device(t, device).Streams == 0 }) {
		t.Errorf("streams of %s are open still: %+v", device, f.device(t, device))
	}
	if !eventually(func() bool { return len(f.closed(t, service)) == 1 }) {
		t.Errorf("the audit of %s has %v", service, f.closed(t, service))
	}
	for _, line := range f.closed(t, service) {
		if line["end"] != "finished" {
			t.Errorf("%s ended with %v", service, line)
		}
	}
}

func (f *field) closed(t *testing.T, service string) []live.Line {
	t.Helper()
	return auditLines(t, f.dir, live.Equal("event", "close"), live.Equal("service", service))
}

func (f *field) expectClosed(t *testing.T, service string, n int) {
	t.Helper()
	if !eventually(func() bool { return len(f.closed(t, service)) == n }) {
		t.Errorf("the audit of %s has %v", service, f.closed(t, service))
	}
}

// A cable leads connections to an address, and can be cut.
type cable struct {
	address string

	mu   sync.Mutex // guards ends
	ends []*net.TCPConn
}

func newCable(t *testing.T, to string) *cable {
	t.Helper()
	c := &cable{}
	address, stop, err := startBackend(func(ctx context.Context, near *net.TCPConn) {
		conn, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		far := conn.(*net.TCPConn)
		defer context.AfterFunc(ctx, func() { far.Close() })()
		c.mu.Lock()
		c.ends = append(c.ends, near, far)
		c.mu.Unlock()
		var back sync.WaitGroup
		back.Go(func() {
			io.Copy(near, far)
			near.Close()
		})
		io.Copy(far, near)
		far.Close()
		back.Wait()
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	c.address = address
	return c
}

// cut severs what is connected; first what leads to the address.
func (c *cable) cut(sever func(*net.TCPConn)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, end := range slices.Backward(c.ends) {
		sever(end)
	}
	c.ends = nil
}

// TestHalfClose has a hundred clients send a request, end their side, and want the answer.
func TestHalfClose(t *testing.T) {
	t.Parallel()
	const clients = 100
	t.Run("answer at newline, original device", func(t *testing.T) {
		service, stop, err := startBackend(func(_ context.Context, conn *net.TCPConn) {
			var line []byte
			for b := make([]byte, 1); len(line) == 0 || b[0] != '\n'; line = append(line, b[0]) {
				if _, err := conn.Read(b); err != nil {
					return
				}
			}
			fmt.Fprintf(conn, "got %s", line)
		})
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
		// The device knows no half-close: the longer the server waits, the longer the answer may take.
		config := strings.Replace(fieldConfig, `listeners = ["odd"]`, `listeners = ["odd"]`+"\n  close_delay = \"1m\"", 1)
		f := newField(t, strings.ReplaceAll(config, "svc.example:7777", service))
		startOriginal(t, f.Addresses["odd"])
		f.awaitDevice(t, "odd", 1)
		f.request(t, clients, "odd")
		f.expectClosed(t, "odd", clients)
	})
	t.Run("answer at the end, our device", func(t *testing.T) {
		f := newField(t, fieldConfig)
		f.request(t, clients, "reply")
		f.expectClosed(t, "reply", clients)
		if !eventually(func() bool { return f.device(t, "meter").Streams == 0 }) {
			t.Errorf("streams are open still: %+v", f.device(t, "meter"))
		}
	})
}

// request has clients make requests, all at a time.
func (f *field) request(t *testing.T, clients int, service string) {
	t.Helper()
	var running sync.WaitGroup
	for i := range clients {
		running.Go(func() {
			question := fmt.Sprintf("request %d\n", i)
			if err := exchange(f.Addresses["mux"], service+"\r\n"+question, "+\r\ngot "+question); err != nil {
				t.Errorf("request %d: %v", i, err)
			}
		})
	}
	running.Wait()
}

// startOriginal runs a device that behaves as the original until the test ends.
func startOriginal(t *testing.T, server string) {
	t.Helper()
	conn, err := net.Dial("tcp", server)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { peers.NewDevice(conn).Run() })
	t.Cleanup(func() {
		conn.Close()
		running.Wait()
	})
}

// TestMihiniServer is the original picture as one command: no client software, a port for each service.
func TestMihiniServer(t *testing.T) {
	t.Parallel()
	echo, device, port := startEcho(t), freePort(t), freePort(t)
	client := net.JoinHostPort("127.0.0.1", port)
	startProcess(t, jackfield("mihini", "server", "--listen", "127.0.0.1:"+device, "--client", client, "--service", echo, "--close-delay", "0s"))
	stored := filepath.Join(t.TempDir(), "device.hcl")
	writeFile(t, stored, fmt.Sprintf("server = \"127.0.0.1:%s\"\nallow = [%q]\n", device, echo))
	d, err := live.Start(jackfield("mihini", "device", "--config", stored))
	if err != nil {
		t.Fatal(err)
	}
	if !eventually(func() bool { return exchange(client, "hello", "hello") == nil }) {
		t.Errorf("the service is not reached: %v\n%s", exchange(client, "hello", "hello"), d.Output())
	}
	if err := d.Stop(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if !eventually(func() bool { return errors.Is(exchange(client, "", ""), syscall.ECONNREFUSED) }) {
		t.Error("the port is open without the device")
	}
}
