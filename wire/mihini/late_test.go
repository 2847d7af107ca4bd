package mihini

import (
	"bytes"
	"context"
	"net"
	"testing"
	"time"
)

// A lateConn comes back from writing a CLOSE only when it is told to, though the peer has it long since.
type lateConn struct {
	net.Conn
	release chan struct{}
}

func (c *lateConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if bytes.Equal(p, closeOf(1)) {
		<-c.release
	}
	return n, err
}

// DATA for a stream that has just ended on both sides is answered, be the device's writer back from its CLOSE or not.
func TestDataBehindTheLastClose(t *testing.T) {
	near, server := tcpPair(t)
	defer server.Close()
	must(t, server.SetDeadline(time.Now().Add(30*time.Second)))
	late := &lateConn{near, make(chan struct{}, 2)}
	device := NewDevice(late, DeviceOptions{
		Allow: func(string) error { return nil },
		Dial: func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			theirs.Close() // the service has nothing to say
			return ours, nil
		},
	})
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- device.Run(ctx) }()
	in := NewReader(server)
	expectFrame(t, in, Listen, 0)

	_, err := server.Write(append(connectTo(1, "svc.example", 7777), closeOf(1)...))
	must(t, err)
	expectFrame(t, in, Close, 1)
	_, err = server.Write(data(1, "late"))
	must(t, err)
	for limit := time.Now().Add(20 * time.Second); device.Stats().Strays == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("the device has taken it for the stream's")
		}
	}
	late.release <- struct{}{}
	late.release <- struct{}{}
	expectFrame(t, in, Close, 1)

	cancel(errTestOver)
	must(t, server.Close())
	<-ended
}

func expectFrame(t *testing.T, in *Reader, c Command, id uint8) {
	t.Helper()
	if f, err := in.Next(); err != nil || f.Command != c || f.ID != id {
		t.Fatalf("%v, %v came, not %v for %d", f, err, c, id)
	}
}
