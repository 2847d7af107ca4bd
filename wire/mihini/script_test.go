package mihini

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
)

// A script is a peer whose every frame the test writes itself.
type script struct {
	t    testing.TB
	conn *memConn
	in   *Reader
	end  func() error // ends the link and returns what Run returned
}

// send writes frames glued together.
func (s *script) send(frames ...[]byte) {
	s.t.Helper()
	_, err := s.conn.Write(bytes.Join(frames, nil))
	must(s.t, err)
}

// expect reads frames and compares them byte by byte.
func (s *script) expect(frames ...[]byte) {
	s.t.Helper()
	for _, want := range frames {
		f, err := s.in.Next()
		if err != nil {
			s.t.Fatalf("%v instead of % x", err, want)
		}
		if got, _ := AppendFrame(nil, f); !bytes.Equal(got, want) {
			s.t.Fatalf("got %v; want % x", describe(got), want)
		}
	}
}

func describe(b []byte) string {
	f := parse(b)
	return fmt.Sprintf("%v %d %.40q", f.Command, f.ID, f.Payload)
}

// quiet expects that nothing more is sent, in a bubble.
func (s *script) quiet() {
	s.t.Helper()
	synctest.Wait()
	s.conn.in.mu.Lock()
	defer s.conn.in.mu.Unlock()
	if left := s.conn.in.buf; len(left) > 0 || s.in.r.Buffered() > s.in.done {
		s.t.Fatalf("unexpected % x", left)
	}
}

func data(id uint8, text string) []byte { return frame(Data, id, text) }
func closeOf(id uint8) []byte           { return frame(Close, id, "") }

func frame(c Command, id uint8, payload string) []byte {
	b, err := AppendFrame(nil, Frame{c, id, []byte(payload)})
	if err != nil {
		panic(err)
	}
	return b
}

func connectTo(id uint8, address string, port uint16) []byte {
	b, err := AppendConnect(nil, id, Target{address, port})
	if err != nil {
		panic(err)
	}
	return b
}

// scriptedDevice returns our server and a device that the test speaks for. LISTEN has passed.
func scriptedDevice(t testing.TB, o ServerOptions) (*Server, *script) {
	t.Helper()
	near, far := memPair(1 << 20)
	_, err := far.Write(frame(Listen, 0, ""))
	must(t, err)
	server, err := Accept(t.Context(), near, o)
	must(t, err)
	return server, running(t, far, server.Run)
}

// scriptedServer returns our device and a server that the test speaks for, and the services that the device has dialled.
func scriptedServer(t testing.TB, o DeviceOptions) (*Device, *script, chan *memConn) {
	t.Helper()
	near, far := memPair(1 << 20)
	dialed := make(chan *memConn, 2*MaxStreams)
	if o.Allow == nil {
		o.Allow = func(string) error { return nil }
	}
	if o.Dial == nil {
		o.Dial = func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := memPair(64 << 10)
			dialed <- theirs
			return ours, nil
		}
	}
	device := NewDevice(near, o)
	s := running(t, far, device.Run)
	s.expect(frame(Listen, 0, ""))
	return device, s, dialed
}

// running runs a link and cleans up after it.
func running(t testing.TB, conn *memConn, run func(context.Context) error) *script {
	ctx, cancel := context.WithCancelCause(t.Context())
	var over sync.WaitGroup
	var why error
	over.Go(func() { why = run(ctx) })
	end := func() error {
		cancel(errTestOver)
		over.Wait()
		conn.Close()
		return why
	}
	t.Cleanup(func() { end() })
	return &script{t: t, conn: conn, in: NewReader(conn), end: end}
}

// open opens a stream, and expects its CONNECT.
func (s *script) open(server *Server) *Stream {
	s.t.Helper()
	stream, err := server.Open(s.t.Context(), Target{"svc.example", 7777})
	must(s.t, err)
	s.expect(connectTo(stream.ID(), "svc.example", 7777))
	return stream
}

// drain reads and drops everything until the link ends.
func (s *script) drain() { _, _ = io.Copy(io.Discard, s.conn) }
