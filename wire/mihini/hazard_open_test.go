package mihini

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// One test for each hazard of the original programs that this package meets and no other file has; see the table in the
// package's documentation.

// The client speaks at once; CONNECT still comes first.
func TestM1ConnectBeforeData(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server, device := scriptedDevice(t, ServerOptions{})
		for range 20 {
			stream, err := server.Open(t.Context(), Target{"svc.example", 7777})
			must(t, err)
			stream.Write([]byte("at once"))
			stream.Close()
			id := stream.ID()
			device.expect(connectTo(id, "svc.example", 7777), data(id, "at once"), closeOf(id))
		}
	})
}

func TestM1EarlyData(t *testing.T) {
	bubble(t, func(t *testing.T) {
		device, server, dialed := scriptedServer(t, DeviceOptions{HoldEarlyData: true})
		server.send(data(1, "too "), data(1, "early "), connectTo(1, "svc", 23), data(1, "by far"))
		hear(t, <-dialed, "too early by far")

		server.send(data(2, "in vain"))
		before := time.Now()
		server.expect(closeOf(2))
		if waited := time.Since(before); waited != EarlyTime {
			t.Errorf("answered after %v", waited)
		}
		server.send(connectTo(2, "svc", 23), data(2, "new"))
		hear(t, <-dialed, "new")

		server.send(data(3, strings.Repeat("x", MaxEarly/2)), data(3, strings.Repeat("x", MaxEarly/2)), data(3, "x"))
		server.expect(closeOf(3))
		server.quiet()
		if n := device.Stats().Queued; n != 0 {
			t.Errorf("%d bytes are kept", n)
		}
		server.send(data(1, "open"), data(9, "kept until the link ends"))
		synctest.Wait()
	})
}

// An id is not used again before both CLOSEs have passed, and a CLOSE of before does not end the new stream.
func TestM2IDReuse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server, device := scriptedDevice(t, ServerOptions{})
		first := device.open(server)
		first.Close()
		device.expect(closeOf(1))
		seen := map[uint8]bool{}
		for range MaxStreams - 1 { // all the others come and go
			s := device.open(server)
			seen[s.ID()] = true
			s.Close()
			device.expect(closeOf(s.ID()))
			device.send(closeOf(s.ID()))
			synctest.Wait()
		}
		if seen[1] || len(seen) != MaxStreams-1 {
			t.Fatalf("%d ids were used, 1 among them: %v", len(seen), seen[1])
		}
		device.send(closeOf(1))
		synctest.Wait()
		if s := server.Stats(); s.Open != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// The device answers DATA for a stream that it has closed with one CLOSE each. None of them may reach a later stream,
// even where only one id is free.
func TestM2StrayCloses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server, device := scriptedDevice(t, ServerOptions{})
		var held []*Stream
		for range MaxStreams - 2 {
			held = append(held, device.open(server))
		}
		s := device.open(server)
		s.Write([]byte("a"))
		synctest.Wait()
		s.Write([]byte("b"))
		device.expect(data(s.ID(), "a"), data(s.ID(), "b"))
		device.send(closeOf(s.ID())) // before it has seen a and b
		hearError(t, s, ErrRefused)
		device.expect(closeOf(s.ID()))
		synctest.Wait()

		opened := make(chan *Stream)
		go func() {
			next, err := server.Open(t.Context(), Target{"svc.example", 7777})
			if err != nil {
				t.Error(err)
			}
			opened <- next
		}()
		device.expect(data(0, "\x00")) // the probe, for the last quiet id
		device.send(closeOf(s.ID()), closeOf(s.ID()), closeOf(0))
		next := <-opened
		device.expect(connectTo(next.ID(), "svc.example", 7777))
		device.send(data(next.ID(), "alive"))
		hear(t, next, "alive")
		for _, s := range held {
			s.Close()
		}
	})
}

func TestM2AllIDsInUse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server, device := scriptedDevice(t, ServerOptions{})
		var streams []*Stream
		for range MaxStreams {
			streams = append(streams, device.open(server))
		}
		before := time.Now()
		if _, err := server.Open(t.Context(), Target{"a", 1}); err != ErrBusy || time.Since(before) != 0 {
			t.Errorf("%v after %v", err, time.Since(before))
		}
		if s := server.Stats(); s.Open != MaxStreams || s.Busy != 1 {
			t.Errorf("%+v", s)
		}
		// All closed at once: nothing is left to probe with, so the first one comes after the time of rest.
		for _, s := range streams {
			s.Close()
			device.expect(closeOf(s.ID()))
			device.send(closeOf(s.ID()))
		}
		synctest.Wait()
		device.open(server).Close()
		if waited := time.Since(before); waited != restTime {
			t.Errorf("opened after %v", waited)
		}
	})
}

// A device that never answers CLOSE uses up the ids, and then the link is of no use.
func TestM2Quarantine(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server, device := scriptedDevice(t, ServerOptions{})
		for range MaxStreams {
			s := device.open(server)
			s.Close()
			device.expect(closeOf(s.ID()))
		}
		time.Sleep(DefaultLinger / 2)
		if _, err := server.Open(t.Context(), Target{"a", 1}); err != ErrBusy {
			t.Errorf("%v, want %v", err, ErrBusy)
		}
		time.Sleep(DefaultLinger)
		if err := device.end(); err != ErrExhausted {
			t.Errorf("the link ended with %v", err)
		}
	})
}

// CONNECT for an open id: the old service goes, and no CLOSE of it follows.
func TestM2ConnectForAnOpenID(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var closed error
		_, server, dialed := scriptedServer(t, DeviceOptions{Closed: func(_ *Stream, err error) { closed = err }})
		server.send(connectTo(5, "old", 1))
		old := <-dialed
		server.send(data(5, "for the old one"))
		hear(t, old, "for the old one")
		old.Write([]byte("on"))
		server.expect(data(5, "on"))
		server.send(connectTo(5, "new", 1), data(5, "for the new one"))
		fresh := <-dialed
		hear(t, fresh, "for the new one")
		hearEnd(t, old)
		time.Sleep(2 * DefaultLinger) // nothing of the old stream is still at work
		fresh.Write([]byte("hello"))
		server.expect(data(5, "hello"))
		server.quiet()
		if !errors.Is(closed, ErrReplaced) {
			t.Errorf("the old stream ended with %v", closed)
		}
	})
}

// A service that does not answer the dial delays nobody, and DATA waits for it.
func TestM3DialInTheBackground(t *testing.T) {
	bubble(t, func(t *testing.T) {
		slow := make(chan net.Conn)
		dialed := make(chan *memConn, 1)
		_, server, _ := scriptedServer(t, DeviceOptions{Dial: func(ctx context.Context, _, address string) (net.Conn, error) {
			switch address {
			case "never:1":
				<-ctx.Done()
				return nil, ctx.Err()
			case "slow:1":
				return <-slow, nil
			}
			ours, theirs := memPair(1000)
			dialed <- theirs
			return ours, nil
		}})
		before := time.Now()
		server.send(connectTo(1, "never", 1))
		server.send(connectTo(2, "slow", 1), data(2, "waits"), closeOf(2))
		server.send(connectTo(3, "svc", 1), data(3, "now"))
		service := <-dialed
		hear(t, service, "now")
		if time.Since(before) != 0 {
			t.Errorf("the others waited %v", time.Since(before))
		}
		server.expect(closeOf(1))
		if waited := time.Since(before); waited != DefaultDialTimeout {
			t.Errorf("given up after %v", waited)
		}
		ours, theirs := memPair(1000)
		slow <- ours
		hear(t, theirs, "waits")
		hearEnd(t, theirs)
		theirs.Close()
		server.expect(closeOf(2))
	})
}
