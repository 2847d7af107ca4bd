package mihini

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/nettest"
)

// A stream behaves as the standard library wants a net.Conn to.
func TestStreamIsAConn(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		p := newPair(t, ServerOptions{}, DeviceOptions{})
		client, service := p.open()
		return client, service, func() {
			client.Close()
			service.Close()
			p.stop()
		}, nil
	})
}

func TestStreamState(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server, device := scriptedDevice(t, ServerOptions{})
		stream := device.open(server)
		device.send(data(1, "hello"))
		stream.Write([]byte("hi"))
		synctest.Wait()
		want := StreamInfo{1, Target{"svc.example", 7777}, time.Now(), "open", 5, 2, 5}
		if got := server.Streams(); len(got) != 1 || got[0] != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		if r, s := stream.Transfer(); r != 5 || s != 2 || stream.ID() != 1 || stream.Target() != want.Target {
			t.Errorf("%d, %d", r, s)
		}
		if a := stream.RemoteAddr(); a.Network() != "mihini" || a.String() != "svc.example:7777" || stream.LocalAddr() == nil {
			t.Errorf("%v", a)
		}
		stream.CloseWrite()
		if got := server.Streams()[0].State; got != "closing" {
			t.Errorf("%s", got)
		}
		stream.Close()
		time.Sleep(time.Minute)
		if got := server.Streams()[0].State; got != "quarantined" {
			t.Errorf("%s", got)
		}
	})
}

// What the link has not taken yet is dropped by SetLinger(0) and Close, and sent by Close alone.
func TestSetLinger(t *testing.T) {
	for _, drop := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			server, device := scriptedDevice(t, ServerOptions{})
			stream := device.open(server)
			go stream.Write(make([]byte, 8<<20)) // the link is full
			synctest.Wait()
			if drop {
				must(t, stream.SetLinger(0))
			}
			must(t, stream.Close())
			if err := stream.Close(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("closed twice: %v", err)
			}
			got := 0
			for {
				f, err := device.in.Next()
				must(t, err)
				if f.Command == Close {
					break
				}
				got += len(f.Payload)
			}
			const inPipe = 1 << 20
			if dropped := got < inPipe+maxParcel; dropped != drop {
				t.Errorf("dropped %v, %d bytes came", drop, got)
			}
		})
	}
}

// A context that ends while the link is full takes the CONNECT back, and its id.
func TestOpenGivesUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server, device := scriptedDevice(t, ServerOptions{})
		stream := device.open(server)
		go stream.Write(make([]byte, 8<<20))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := server.Open(ctx, Target{"svc", 1}); err != context.DeadlineExceeded {
			t.Errorf("%v", err)
		}
		if n := server.Stats().Open; n != 1 {
			t.Errorf("%d streams are open", n)
		}
		go func() {
			time.Sleep(time.Second)
			server.end(os.ErrProcessDone)
		}()
		_, err := server.Open(t.Context(), Target{"svc", 1})
		if !errors.Is(err, ErrLinkLost) || !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("%v", err)
		}
		if err := device.end(); err != os.ErrProcessDone {
			t.Errorf("the link ended with %v", err)
		}
		stream.Close()
	})
}

func TestTune(t *testing.T) {
	near, far := tcpPair(t)
	defer near.Close()
	defer far.Close()
	must(t, Tune(near, time.Minute))
	must(t, Tune(wrapped{near}, time.Second))
	near.Close()
	if err := Tune(near, time.Minute); err == nil {
		t.Error("a closed connection was tuned")
	}
	memory, other := memPair(1)
	defer memory.Close()
	defer other.Close()
	must(t, Tune(memory, time.Minute))
}

type wrapped struct{ net.Conn }

func (w wrapped) NetConn() net.Conn { return w.Conn }
