package e2e

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jackfield/test/live"
	"jackfield/wire/mihini"
)

// startSource serves size bytes of a pattern to each client, and then its end.
func startSource(t *testing.T, size int) (address string, sum [sha256.Size]byte) {
	t.Helper()
	text := pattern(4, size)
	address, stop, err := startBackend(func(_ context.Context, conn *net.TCPConn) { conn.Write(text) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return address, sha256.Sum256(text)
}

// patientConfig is fieldConfig with a meter whose clients need not take anything for as long as a busy machine may keep them from it.
var patientConfig = strings.Replace(fieldConfig, `close_delay = "0s"`, `close_delay = "0s"
  stall_timeout = "10s"`, 1)

const sourceService = `
service "source" {
  listeners = ["mux"]
  device    = "meter"
  address   = env("source")
}
`

// TestPacedReader reads 1 MB/s of a service that could send far more: 8 MiB, and 64 MiB where $JACKFIELD_SOAK is set.
func TestPacedReader(t *testing.T) {
	t.Parallel()
	size := 8 << 20
	if os.Getenv("JACKFIELD_SOAK") != "" {
		size = 64 << 20
	}
	source, want := startSource(t, size)
	f := newField(t, patientConfig+sourceService, "source="+source)
	c := f.client(t, "source")
	c.SetDeadline(time.Now().Add(10 * time.Minute))
	ctx, stop := context.WithCancel(t.Context())
	var others sync.WaitGroup
	others.Go(func() {
		for ctx.Err() == nil { // as slowly as the link is read
			f.check(t)
		}
	})
	defer others.Wait()
	defer stop()
	const perTick = 20e3
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	sum := sha256.New()
	var read int64
	for range tick.C {
		n, err := io.CopyN(sum, c, perTick)
		read += n
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("after %d bytes: %v", read, err)
		}
	}
	stop()
	others.Wait()
	if read != int64(size) || [sha256.Size]byte(sum.Sum(nil)) != want {
		t.Errorf("%d bytes came, or other ones", read)
	}
	if stalled := f.device(t, "meter").Stalled; stalled != 0 {
		t.Errorf("%d streams were closed as too slow", stalled)
	}
}

// TestStalledReader closes the stream of a client that takes nothing, or next to nothing, once its queue is full. Another stream
// goes on, and is whole. How long it takes is tested in wire/mihini, by a clock that no other process holds up.
func TestStalledReader(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		read func(ctx context.Context, c *client)
	}{
		{"dead", func(ctx context.Context, _ *client) { <-ctx.Done() }},
		{"a byte per second", readBytewise},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			source, _ := startSource(t, 64<<20)
			f := newField(t, patientConfig+sourceService, "source="+source) // which leaves time to see that the queue is full
			other := f.client(t, "echo")

			c := slowClient(t, f)
			say(t, c, "source\r\n")
			expect(t, c, "+\r\n")
			c.SetDeadline(time.Time{})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go test.read(ctx, c)

			const queue = mihini.DefaultQueue - 64<<10 // is full: a frame more would not fit
			stalled := func() bool {
				return f.metric(t, `jackfield_device_link_events_total{device="meter",event="stalled"}`) == 1
			}
			full := func() bool { return f.metric(t, `jackfield_device_queued_bytes{device="meter"}`) > queue }
			if !eventually(func() bool { return full() || stalled() }) { // which it is only after having been full: who was late, has missed that
				t.Fatal("the queue does not fill")
			}
			if !eventually(stalled) {
				t.Fatal("the stream is open still")
			}
			f.expectClosed(t, "source", 1)
			for _, end := range f.closed(t, "source") {
				if end["end"] == "finished" {
					t.Errorf("the audit says %v", end)
				}
			}
			for i := range 100 {
				text := string(pattern(uint64(i), 30000))
				say(t, other, text)
				expect(t, other, text)
			}
			f.check(t)
		})
	}
}

// slowClient is a client whose socket takes as little as possible.
func slowClient(t *testing.T, f *field) *client {
	t.Helper()
	dialler := net.Dialer{Timeout: live.Patience, Control: smallBuffer}
	conn, err := dialler.DialContext(t.Context(), "tcp", f.Addresses["mux"])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &client{TCPConn: conn.(*net.TCPConn)}
}

// readBytewise reads a byte each second.
func readBytewise(ctx context.Context, c *client) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if _, err := c.Read(make([]byte, 1)); err != nil {
				return
			}
		}
	}
}

// TestSilentDial: while the device waits for a service that does not answer, and for which a client has much to say, others
// are served by the same device.
func TestSilentDial(t *testing.T) {
	t.Parallel()
	f := newField(t, fieldConfig+`
service "silent" {
  listeners = ["mux"]
  device    = "meter"
  address   = env("silent")
}
`, "silent="+fullBacklog(t))
	const waiting = 5
	for range waiting {
		c := f.client(t, "silent")
		say(t, c, strings.Repeat("much", 100<<10)) // fits into the stream's queue
	}
	checked := 0
	for ; checked < 20 && len(f.closed(t, "silent")) == 0; checked++ { // a busy machine may not come so far before the dial is over
		f.check(t)
	}
	if closed := f.closed(t, "silent"); checked < 2 {
		t.Errorf("the dial was over: %v", closed)
	}
	f.expectClosed(t, "silent", waiting) // the dial has a deadline
	if err := f.meter.WaitFor(func(output string) bool {
		return len(live.Select(output, live.Equal("msg", "stream refused"))) == waiting
	}); err != nil {
		t.Error(err)
	}
	f.check(t)
}

// fullBacklog returns an address that neither accepts nor refuses a connection: the listener's queue is full.
func fullBacklog(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(name.(*unix.SockaddrInet4).Port))
	for range 10 {
		conn, err := net.DialTimeout("tcp", address, 300*time.Millisecond)
		if os.IsTimeout(err) {
			return address
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
	}
	t.Fatal(fmt.Errorf("%s still takes connections", address))
	return ""
}

func smallBuffer(_, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4096) })
	return errors.Join(err, failed)
}
