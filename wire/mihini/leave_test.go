package mihini

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A device that is told to stop while bytes lie unread in its socket does not reset the link: the server reads its end, and may
// even write on.
func TestDeviceLeavesInOrder(t *testing.T) {
	near, server := tcpPair(t)
	defer server.Close()
	asked, answer := make(chan struct{}), make(chan struct{})
	device := NewDevice(near, DeviceOptions{Allow: func(string) error {
		close(asked) // the reader waits here, and what comes meanwhile stays in the socket
		<-answer
		return ErrNotAllowed
	}})
	device.leaveTime = time.Minute // the server's end comes before that
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- device.Run(ctx) }()

	must(t, server.SetDeadline(time.Now().Add(30*time.Second)))
	in := NewReader(server)
	if f, err := in.Next(); err != nil || f.Command != Listen {
		t.Fatalf("%v, %v instead of LISTEN", f, err)
	}
	_, err := server.Write(connectTo(1, "svc.example", 7777))
	must(t, err)
	<-asked
	_, err = server.Write(data(1, "unread"))
	must(t, err)

	cancel(errTestOver)
	if f, err := in.Next(); err != io.EOF {
		t.Errorf("the server reads %v, %v; want the end", f, err)
	}
	close(answer)
	_, err = server.Write(data(1, "late"))
	must(t, err)
	must(t, server.(*net.TCPConn).CloseWrite())
	if err := <-ended; err != errTestOver {
		t.Errorf("Run returned %v", err)
	}
	if n, err := server.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("once the device has closed, the server reads %d bytes, %v; want the end", n, err)
	}
}

// A server that does not end its side, or goes on for ever, does not keep a device that leaves.
func TestDeviceDoesNotWaitForEver(t *testing.T) {
	for name, server := range map[string]func(*memConn){
		"silent": func(*memConn) {},
		"busy": func(c *memConn) {
			for {
				if _, err := c.Write(data(1, "more")); err != nil {
					return
				}
				time.Sleep(time.Millisecond)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				near, far := memPair(1 << 10)
				ctx, cancel := context.WithCancelCause(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- NewDevice(near, DeviceOptions{}).Run(ctx) }()
				var serving sync.WaitGroup
				serving.Go(func() { server(far) })
				defer serving.Wait()
				synctest.Wait()
				begin := time.Now()
				cancel(errTestOver)
				if err := <-ended; !errors.Is(err, errTestOver) {
					t.Errorf("Run returned %v", err)
				}
				if took := time.Since(begin); took != leaveTime {
					t.Errorf("it took %v, not %v", took, leaveTime)
				}
			})
		})
	}
}

// A server that takes no bytes does not keep it either.
func TestDeviceLeavesWhileTheLinkIsStuck(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, s, dialed := scriptedServer(t, DeviceOptions{})
		s.send(connectTo(1, "svc.example", 7777))
		service := <-dialed
		go service.Write(make([]byte, 4<<20)) // more than the link holds
		synctest.Wait()
		begin := time.Now()
		if err := s.end(); !errors.Is(err, errTestOver) {
			t.Errorf("Run returned %v", err)
		}
		if took := time.Since(begin); took > leaveTime+farewell {
			t.Errorf("it took %v", took)
		}
	})
}
