package mihini

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// DATA and CLOSE glued: the service gets the data.
func TestM4QueuedDataBeforeClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPair(t, ServerOptions{CloseDelay: -1}, DeviceOptions{})
		defer p.stop()
		client, service := p.open()
		text := strings.Repeat("much ", 20<<10)
		go func() {
			io.WriteString(client, text)
			client.Close()
		}()
		got, err := io.ReadAll(service)
		if err != nil || string(got) != text {
			t.Errorf("%d bytes, %v; want %d", len(got), err, len(text))
		}
	})
}

// A device sends nothing for an id after its CLOSE.
func TestM5NothingAfterClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, server, dialed := scriptedServer(t, DeviceOptions{Options: Options{Strict: true}})
		server.send(connectTo(1, "svc", 1))
		service := <-dialed
		service.Write(make([]byte, 3*MaxSent))
		go func() {
			for { // a service that goes on
				if _, err := service.Write([]byte("more")); err != nil {
					return
				}
			}
		}()
		server.send(closeOf(1))
		for closed := false; !closed; {
			f, err := server.in.Next()
			must(t, err)
			closed = f.Command == Close
		}
		server.quiet()
	})
}

// Each frame in one write, header and payload together, in frames of at most MaxSent.
func TestM6FrameInOneWrite(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPair(t, ServerOptions{}, DeviceOptions{})
		defer p.stop()
		for _, conn := range []*memConn{p.link, p.device.conn.(*memConn)} {
			conn.out.mu.Lock()
			conn.out.record = true
			conn.out.mu.Unlock()
		}
		client, service := p.open()
		go io.Copy(service, struct{ io.Reader }{service})
		text := strings.Repeat("abcdefg", 50<<10)
		go func() { io.WriteString(client, text); client.CloseWrite() }()
		hear(t, client, text)
		client.Close()
		synctest.Wait()
		for _, conn := range []*memConn{p.link, p.device.conn.(*memConn)} {
			conn.out.mu.Lock()
			for _, write := range conn.out.frames {
				in := NewReader(bytes.NewReader(write))
				f, err := in.Next()
				if err != nil || len(f.Payload)+HeaderSize != len(write) || len(write) > MaxSent {
					t.Errorf("a write of %d bytes holds %v with %d, %v", len(write), f.Command, len(f.Payload), err)
				}
			}
			if len(conn.out.frames) < 20 {
				t.Errorf("only %d writes", len(conn.out.frames))
			}
			conn.out.mu.Unlock()
		}
	})
}

// Empty DATA is never sent.
func TestM9NoEmptyData(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server, device := scriptedDevice(t, ServerOptions{})
		stream := device.open(server)
		if n, err := stream.Write(nil); n != 0 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		device.quiet()
		stream.Close()
		device.expect(closeOf(1))
	})
}

// CLOSE is answered once, and a CLOSE for what is not open never.
func TestM10CloseIsAnsweredOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server, device := scriptedDevice(t, ServerOptions{})
		stream := device.open(server)
		device.send(closeOf(1), closeOf(1), closeOf(1), closeOf(77))
		hearError(t, stream, ErrRefused)
		device.expect(closeOf(1))
		stream.CloseWrite()
		stream.Close()
		device.quiet()
		if n := server.Stats().Strays; n != 3 {
			t.Errorf("%d strays", n)
		}
	})
	bubble(t, func(t *testing.T) {
		_, server, dialed := scriptedServer(t, DeviceOptions{})
		server.send(connectTo(1, "svc", 1))
		service := <-dialed
		server.send(closeOf(1), closeOf(1), closeOf(77))
		hearEnd(t, service)
		service.Close()
		server.expect(closeOf(1))
		server.send(closeOf(1))
		server.quiet()
	})
}

// Silence is met with a probe, and silence after it ends the link.
func TestM12Probe(t *testing.T) {
	const interval = 10 * time.Second
	bubble(t, func(t *testing.T) {
		server, device := scriptedDevice(t, ServerOptions{Options: Options{ProbeInterval: interval}})
		before := time.Now()
		for id := range uint8(3) {
			device.expect(data(id+1, "\x00"))
			device.send(closeOf(id + 1))
		}
		if waited := time.Since(before); waited < 3*interval || waited > 6*interval {
			t.Errorf("three probes in %v", waited)
		}
		s := device.open(server)
		device.send(data(s.ID(), "alive"))
		hear(t, s, "alive")
	})
	bubble(t, func(t *testing.T) {
		_, device := scriptedDevice(t, ServerOptions{Options: Options{ProbeInterval: interval}})
		before := time.Now()
		device.drain()
		if err := device.end(); err != ErrSilent || time.Since(before) != 2*interval {
			t.Errorf("the link ended after %v with %v", time.Since(before), err)
		}
	})
	bubble(t, func(t *testing.T) {
		_, server, _ := scriptedServer(t, DeviceOptions{Options: Options{ProbeInterval: interval}})
		for range 3 {
			server.expect(frame(Data, 0, "")) // the id that an original server uses last
			server.send(closeOf(0))
		}
		server.expect(frame(Data, 0, ""))
		before := time.Now()
		server.drain()
		if err := server.end(); err != ErrSilent || time.Since(before) != interval {
			t.Errorf("the link ended after %v with %v", time.Since(before), err)
		}
	})
}

// A probe and an answer for the same id both go out.
func TestM12ProbeOfAnIDThatOwesAnAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server, device := scriptedDevice(t, ServerOptions{})
		server.mu.Lock()
		server.oweClose(1)
		server.sendProbe()
		server.mu.Unlock()
		device.expect(closeOf(1), data(1, "\x00"))
		device.quiet()
	})
}

// Two of ours that have nothing to say keep their link.
func TestM12ProbesBetweenOurs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := Options{ProbeInterval: time.Second}
		p := newPair(t, ServerOptions{Options: o}, DeviceOptions{Options: o})
		defer p.stop()
		client, service := p.open()
		time.Sleep(20 * time.Minute) // each id is probed by the server, 0 by both at the same time
		say(t, client, service, "still there?")
		say(t, service, client, "yes")
		if s := p.server.Stats(); s.Probes+p.device.Stats().Probes < 200 || s.Open != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// A service that takes no more: what follows is dropped, what it says still arrives, then one CLOSE.
func TestM14ServiceTakesNoMore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, server, dialed := scriptedServer(t, DeviceOptions{})
		server.send(connectTo(1, "svc", 1))
		service := <-dialed
		service.in.breakWith(errors.New("takes no more"))
		server.send(data(1, "lost"), data(1, "lost too"))
		synctest.Wait()
		service.Write([]byte("last words"))
		server.expect(data(1, "last words"))
		service.CloseWrite()
		server.expect(closeOf(1))
		server.send(data(1, "crosses"), closeOf(1))
		server.quiet()
	})
}

// CLOSE does not overtake DATA, however full the link is.
func TestM15CloseAfterData(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server, device := scriptedDevice(t, ServerOptions{})
		a, b := device.open(server), device.open(server)
		for _, s := range []*Stream{a, b} {
			go func() {
				s.Write(bytes.Repeat([]byte{s.ID()}, 100<<10))
				s.Close()
			}()
		}
		got := map[uint8]int{}
		for open := 2; open > 0; {
			f, err := device.in.Next()
			must(t, err)
			got[f.ID] += len(f.Payload)
			if f.Command == Close {
				open--
				if got[f.ID] != 100<<10 {
					t.Errorf("CLOSE %d after %d bytes", f.ID, got[f.ID])
				}
			}
		}
	})
}

// The largest frame right behind LISTEN, in one write with it.
func TestM16LargestFrameAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		near, far := memPair(1 << 20)
		far.Write(append(frame(Listen, 0, ""), data(1, strings.Repeat("x", MaxPayload))...))
		server, err := Accept(t.Context(), near, ServerOptions{})
		must(t, err)
		device := running(t, far, server.Run)
		device.expect(closeOf(1))
		stream := device.open(server)
		device.send(data(stream.ID(), strings.Repeat("y", MaxPayload)))
		hear(t, stream, strings.Repeat("y", MaxPayload))
		stream.Close()
	})
}

// CLOSE from an old link of the device, for ids that are not open here, is ignored; also where the id is about to be.
func TestM17StaleCloseFromAnOldLink(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server, device := scriptedDevice(t, ServerOptions{})
		for id := range MaxStreams {
			device.send(closeOf(uint8(id)))
		}
		synctest.Wait()
		stream := device.open(server)
		device.send(data(1, "alive"))
		hear(t, stream, "alive")
		device.quiet()
		if n := server.Stats().Strays; n != MaxStreams {
			t.Errorf("%d strays", n)
		}
	})
}

// Without a rule a device dials nothing.
func TestM18NothingIsAllowedByDefault(t *testing.T) {
	bubble(t, func(t *testing.T) {
		near, far := memPair(1000)
		var refused error
		device := NewDevice(near, DeviceOptions{
			Dial:    func(context.Context, string, string) (net.Conn, error) { panic("dialled") },
			Refused: func(_ Target, err error) { refused = err },
		})
		server := running(t, far, device.Run)
		server.expect(frame(Listen, 0, ""))
		server.send(connectTo(1, "127.0.0.1", 22), data(1, "SSH-2.0"))
		server.expect(closeOf(1))
		server.send(closeOf(1))
		server.quiet()
		if refused != ErrNotAllowed {
			t.Errorf("refused with %v", refused)
		}
	})
}

// What is allowed is what is dialled; no host means this one.
func TestM18Allow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		asked := make(chan string, 1)
		_, server, dialed := scriptedServer(t, DeviceOptions{Allow: func(address string) error {
			asked <- address
			return nil
		}})
		for wire, want := range map[string]string{"": "127.0.0.1:23", "::1": "[::1]:23", "svc.example": "svc.example:23"} {
			server.send(connectTo(1, wire, 23))
			if got := <-asked; got != want {
				t.Errorf("%q was allowed as %q, want %q", wire, got, want)
			}
			(<-dialed).Close()
		}
	})
}

// CLOSE without a byte, unasked: the service could not be reached. After our own half-close it is an ordinary end.
func TestM20Refused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		refused := make(chan error, 1)
		p := newPair(t, ServerOptions{CloseDelay: -1}, DeviceOptions{
			Dial:    func(context.Context, string, string) (net.Conn, error) { return nil, io.ErrNoProgress },
			Refused: func(_ Target, err error) { refused <- err },
		})
		defer p.stop()
		client, err := p.server.Open(t.Context(), Target{"svc", 1})
		must(t, err)
		hearError(t, client, ErrRefused)
		must(t, client.CloseWrite())
		must(t, client.Close())
		if err := <-refused; err != io.ErrNoProgress {
			t.Errorf("refused with %v", err)
		}
	})
	bubble(t, func(t *testing.T) {
		server, device := scriptedDevice(t, ServerOptions{CloseDelay: -1})
		stream := device.open(server)
		stream.CloseWrite()
		device.expect(closeOf(1))
		device.send(closeOf(1))
		hearEnd(t, stream)
	})
}
