package mihini

import (
	"bytes"
	"context"
	"net"
	"sync"
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
	late := &lateConn{near, make(chan struct{})}
	device := NewDevice(late, DeviceOptions{
		Allow: func(string) error { return nil },
		Dial: func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			theirs.Close() // the service has nothing to say
			return ours, nil
		},
	})
	defer runLate(t, device)()
	in := NewReader(server)
	expectFrame(t, in, Listen, 0)

	_, err := server.Write(append(connectTo(1, "svc.example", 7777), closeOf(1)...))
	must(t, err)
	expectFrame(t, in, Close, 1)
	late.isAnswered(t, server, in, device.Stats)
	must(t, server.Close())
}

// The same of the server's writer.
func TestDataBehindTheLastCloseOfServer(t *testing.T) {
	near, device := tcpPair(t)
	defer device.Close()
	must(t, device.SetDeadline(time.Now().Add(30*time.Second)))
	late := &lateConn{near, make(chan struct{})}
	_, err := device.Write(frame(Listen, 0, ""))
	must(t, err)
	server, err := Accept(t.Context(), late, ServerOptions{})
	must(t, err)
	defer runLate(t, server)()
	stream, err := server.Open(t.Context(), Target{"svc.example", 7777})
	must(t, err)
	in := NewReader(device)
	expectFrame(t, in, Connect, 1)

	_, err = device.Write(closeOf(1))
	must(t, err)
	expectFrame(t, in, Close, 1)
	late.isAnswered(t, device, in, server.Stats)
	must(t, stream.Close())
	must(t, device.Close())
}

// runLate runs one end until the function that it returns is called.
func runLate(t *testing.T, end interface{ Run(context.Context) error }) (stop func()) {
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- end.Run(ctx) }()
	return func() {
		cancel(errTestOver)
		<-ended
	}
}

// isAnswered sends DATA behind the CLOSE that is being written, and expects that it is answered with another one.
func (c *lateConn) isAnswered(t *testing.T, peer net.Conn, in *Reader, stats func() Stats) {
	t.Helper()
	release := sync.OnceFunc(func() { close(c.release) })
	defer release()
	_, err := peer.Write(data(1, "late"))
	must(t, err)
	for limit := time.Now().Add(20 * time.Second); stats().Strays == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("it was taken for the stream's")
		}
	}
	release()
	expectFrame(t, in, Close, 1)
}

func expectFrame(t *testing.T, in *Reader, c Command, id uint8) {
	t.Helper()
	if f, err := in.Next(); err != nil || f.Command != c || f.ID != id {
		t.Fatalf("%v, %v came, not %v for %d", f, err, c, id)
	}
}
