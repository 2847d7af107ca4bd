package mihini

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// anything are frames that lead into every state.
var anything = [][]byte{
	bytes.Join([][]byte{connectTo(1, "a", 1), data(1, "x"), closeOf(1), closeOf(1)}, nil),
	bytes.Join([][]byte{connectTo(1, "a", 1), connectTo(1, "b", 1), data(1, "x"), data(2, "x"), data(2, "")}, nil),
	bytes.Join([][]byte{frame(Connect, 3, "\x00\xffa"), frame(Listen, 0, "x"), frame(9, 9, "xyz"), closeOf(0)}, nil),
	bytes.Join([][]byte{data(1, "x"), data(2, block8k), closeOf(2), closeOf(1), data(3, ""), closeOf(3)}, nil),
	[]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
}

// FuzzServer: whatever a device sends, the link ends when it is told to, with nothing left behind.
func FuzzServer(f *testing.F) {
	for _, b := range anything {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		synctest.Test(t, func(t *testing.T) {
			server, device := scriptedDevice(t, ServerOptions{Options: Options{MaxErrors: 1000}})
			go device.drain()
			var using sync.WaitGroup
			for i := range 3 {
				s, err := server.Open(t.Context(), Target{"svc", 1})
				must(t, err)
				using.Go(func() {
					io.WriteString(s, "hello")
					if i > 0 {
						s.CloseWrite()
					}
					if i < 2 {
						io.Copy(io.Discard, s)
					}
					s.Close()
				})
			}
			device.conn.Write(wire)
			time.Sleep(2 * time.Minute)
			if n := server.Stats().Queued; n > DefaultLinkQueue {
				t.Fatalf("%d bytes are queued", n)
			}
			device.end()
			using.Wait()
			checkEmpty(t, &server.link)
		})
	})
}

// FuzzDevice: the same for whatever a server sends.
func FuzzDevice(f *testing.F) {
	for _, b := range anything {
		f.Add(b, true)
	}
	f.Fuzz(func(t *testing.T, wire []byte, hold bool) {
		synctest.Test(t, func(t *testing.T) {
			device, server, _ := scriptedServer(t, DeviceOptions{
				HoldEarlyData: hold,
				Options:       Options{MaxErrors: 1000},
				Dial: func(ctx context.Context, _, address string) (net.Conn, error) {
					if len(address)%3 == 0 {
						return nil, io.ErrNoProgress
					}
					ours, theirs := memPair(100)
					go func() { io.Copy(theirs, struct{ io.Reader }{theirs}); theirs.Close() }()
					return ours, nil
				},
			})
			go server.drain()
			server.conn.Write(wire)
			time.Sleep(2 * time.Minute)
			if n := len(device.places); n > maxServed {
				t.Fatalf("%d streams are served", n)
			}
			server.end()
			checkEmpty(t, &device.link)
		})
	})
}

// checkEmpty expects that an ended link holds nothing.
func checkEmpty(t *testing.T, l *link) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.queued != 0 || len(l.leftover) != 0 {
		t.Errorf("%d bytes of %d streams are left", l.queued, len(l.leftover))
	}
	for id := range l.slots {
		if l.slots[id].stream != nil {
			t.Errorf("stream %d is left", id)
		}
	}
}
