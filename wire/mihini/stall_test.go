package mihini

import (
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var block8k = strings.Repeat("8 KiB...", 1<<10)

// fill sends DATA for id until the link takes no more, or the stream is closed.
func (s *script) fill(id uint8, total int) {
	for range total / len(block8k) {
		if _, err := s.conn.Write(data(id, block8k)); err != nil {
			return
		}
	}
}

// A reader that takes nothing is closed when its queue has been full for StallTimeout; meanwhile and afterwards the
// others get everything.
func TestM3StalledReaderIsClosed(t *testing.T) {
	for name, read := range map[string]func(*Stream){
		"dead":              func(*Stream) {},
		"one byte a second": func(s *Stream) { trickle(s, 1, time.Second) },
		"60 KiB a second":   func(s *Stream) { trickle(s, 60<<10, time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				server, device := scriptedDevice(t, ServerOptions{})
				dead, other := device.open(server), device.open(server)
				var reading sync.WaitGroup
				reading.Go(func() { read(dead) })
				before := time.Now()
				device.fill(dead.ID(), 4*DefaultQueue)
				device.send(data(other.ID(), "through"))
				hear(t, other, "through")
				waited := time.Since(before)
				if waited < DefaultStallTimeout || waited > 40*time.Second || name != "60 KiB a second" && waited > 3*time.Second {
					t.Errorf("the others waited %v", waited)
				}
				reading.Wait()
				hearError(t, dead, ErrStalled)
				if _, err := dead.Write([]byte("x")); !errors.Is(err, ErrStalled) {
					t.Errorf("write: %v", err)
				}
				device.expect(closeOf(dead.ID()))
				device.send(closeOf(dead.ID()))
				synctest.Wait()
				if s := server.Stats(); s.Stalled != 1 || s.Open != 1 || s.Queued != 0 {
					t.Errorf("%+v", s)
				}
				other.Close()
			})
		})
	}
}

// trickle reads n bytes at a time until the stream ends.
func trickle(s *Stream, n int, pause time.Duration) {
	for {
		if _, err := io.ReadFull(s, make([]byte, n)); err != nil {
			return
		}
		time.Sleep(pause)
	}
}

// A slow reader that takes its share keeps its stream, and gets every byte.
func TestM3SlowReaderIsKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server, device := scriptedDevice(t, ServerOptions{})
		slow := device.open(server)
		const total = 4 * DefaultQueue
		go func() {
			device.fill(slow.ID(), total)
			device.conn.Write(closeOf(slow.ID()))
		}()
		buf := make([]byte, 1<<10)
		for n := 0; n < total; n += len(buf) {
			if _, err := io.ReadFull(slow, buf); err != nil || string(buf) != block8k[:len(buf)] {
				t.Fatalf("after %d bytes: %v", n, err)
			}
			time.Sleep(10 * time.Millisecond) // 100 KiB/s
		}
		hearEnd(t, slow)
		slow.Close()
	})
}

// All queues together are bounded too; who holds most and takes nothing goes first.
func TestM3LinkQueue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := Options{Queue: 1 << 20, LinkQueue: 3 << 20}
		server, device := scriptedDevice(t, ServerOptions{Options: o})
		var streams []*Stream
		for range 8 {
			streams = append(streams, device.open(server))
		}
		for _, s := range streams[:7] {
			device.fill(s.ID(), 500<<10)
			if n := server.Stats().Queued; n > 3<<20 {
				t.Fatalf("%d bytes are queued", n)
			}
		}
		device.send(data(streams[7].ID(), "through"))
		hear(t, streams[7], "through")
		if s := server.Stats(); s.Stalled == 0 || s.Stalled > 2 {
			t.Errorf("%+v", s)
		}
		for _, s := range streams {
			s.Close()
		}
	})
}

// What a stream left behind, with both CLOSEs passed, counts too, and its reader is judged like the others.
func TestM3LeftoverCounts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server, device := scriptedDevice(t, ServerOptions{Options: Options{LinkQueue: 1 << 20}})
		left := device.open(server)
		device.fill(left.ID(), 1<<20)
		device.send(closeOf(left.ID()))
		device.expect(closeOf(left.ID()))
		synctest.Wait()
		if s := server.Stats(); s.Open != 0 || s.Queued != 1<<20 {
			t.Fatalf("%+v", s)
		}
		other := device.open(server)
		device.send(data(other.ID(), "through"))
		hear(t, other, "through")
		hearError(t, left, ErrStalled)
		if n := server.Stats().Queued; n != 0 {
			t.Errorf("%d bytes are queued", n)
		}
	})
}

// On the device: a service that does not read loses its stream, the others go on, and nothing stays behind.
func TestM3StalledServiceIsClosed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		closed := make(chan error, 1)
		device, server, dialed := scriptedServer(t, DeviceOptions{Closed: func(_ *Stream, err error) { closed <- err }})
		server.send(connectTo(1, "dead", 1), connectTo(2, "svc", 1))
		services := []*memConn{<-dialed, <-dialed}
		before := time.Now()
		server.fill(1, 4*DefaultQueue)
		server.send(data(2, "through"))
		synctest.Wait()
		found := false
		for _, s := range services {
			s.in.mu.Lock()
			found = found || string(s.in.buf) == "through"
			s.in.mu.Unlock()
		}
		if !found || time.Since(before) > 3*time.Second {
			t.Errorf("through: %v, after %v", found, time.Since(before))
		}
		server.expect(closeOf(1))
		if err := <-closed; !errors.Is(err, ErrStalled) {
			t.Errorf("the stream ended with %v", err)
		}
		if s := device.Stats(); s.Stalled != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// While the link takes nothing, a client is not read: Write waits, until its deadline, Close, or the link's end.
func TestBackPressure(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server, device := scriptedDevice(t, ServerOptions{})
		stream := device.open(server)
		must(t, stream.SetWriteDeadline(time.Now().Add(time.Minute)))
		n, err := stream.Write(make([]byte, 64<<20))
		if err == nil || n > 2<<20 {
			t.Errorf("%d bytes were taken, %v", n, err)
		}
		must(t, stream.SetWriteDeadline(time.Time{}))
		done := make(chan error)
		go func() { _, err := stream.Write(make([]byte, 64<<20)); done <- err }()
		synctest.Wait()
		must(t, stream.Close())
		if err := <-done; err == nil {
			t.Error("written after Close")
		}
		go device.drain()
	})
}

// With eight streams that always have something to say, none gets ahead.
func TestFairTurns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server, device := scriptedDevice(t, ServerOptions{})
		var streams []*Stream
		for range 8 {
			streams = append(streams, device.open(server))
		}
		for _, s := range streams {
			go func() { s.Write(make([]byte, 8<<20)); s.Close() }()
		}
		synctest.Wait()
		got := map[uint8]int{}
		for i := range 1700 {
			synctest.Wait() // the link is what they wait for
			f, err := device.in.Next()
			must(t, err)
			if i >= 100 { // who was alone at the beginning had it for itself
				got[f.ID]++
			}
		}
		for id, n := range got {
			if n < 190 || n > 210 {
				t.Errorf("stream %d had %d turns of 1600", id, n)
			}
		}
		go device.drain()
		device.end()
	})
}
