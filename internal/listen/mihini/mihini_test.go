package mihini

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"jackfield"
	"jackfield/internal/gateway"
	"jackfield/internal/link"
	"jackfield/internal/listen"
	"jackfield/wire/mihini"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A field is a listener with what it recorded.
type field struct {
	handler *Handler
	devices *link.Devices
	sockets *listen.Sockets
	address string
	full    bool // the audit log

	mu      sync.Mutex
	records []string
	log     bytes.Buffer
}

func (f *field) note(event string, r *jackfield.Record, detail string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.records = append(f.records, strings.Join(strings.Fields(event+" "+r.Route+" "+detail), " "))
}

func (f *field) Opened(r *jackfield.Record) error {
	if f.full {
		return errors.New("the disk is full")
	}
	f.note("open", r, "")
	return nil
}

func (f *field) Closed(r *jackfield.Record)  { f.note("close", r, r.End.Cause) }
func (f *field) Refused(r *jackfield.Record) { f.note("refuse", r, string(r.Kind)) }

func (f *field) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.log.Write(p)
}

func (f *field) recorded() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.records)
}

// open opens a listener for these devices.
func open(t *testing.T, known ...Device) *field {
	t.Helper()
	return openHandler(t, Handler{Known: known})
}

// openHandler opens a listener, with what a handler needs besides.
func openHandler(t *testing.T, h Handler) *field {
	t.Helper()
	f := &field{devices: link.NewDevices()}
	log := slog.New(slog.NewTextHandler(f, nil))
	h.Gateway = &gateway.Gateway{Sessions: gateway.NewSessions("test"), Recorder: f, Log: log}
	h.Listener = &gateway.Listener{Name: "field", Protocol: "mihini"}
	h.Devices = f.devices
	h.Log = log
	f.handler = New(h)
	ctx, cut := context.WithCancelCause(context.Background())
	f.sockets = listen.NewSockets(ctx)
	server := &listen.Server{Name: "field", Address: "127.0.0.1:0", Handler: f.handler, Log: log}
	if err := f.sockets.Swap([]*listen.Server{server}); err != nil {
		t.Fatal(err)
	}
	f.address = f.sockets.Addr(server).String()
	t.Cleanup(func() {
		cut(errors.New("server is stopping"))
		f.sockets.StopAccepting()
		f.sockets.Wait()
	})
	return f
}

func (f *field) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", f.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	return conn
}

// expectReset expects that a connection is reset, which may be before it is noticed to be there.
func (f *field) expectReset(t *testing.T) {
	t.Helper()
	conn, err := net.Dial("tcp", f.address)
	if err == nil {
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(30 * time.Second))
		_, err = conn.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a reset", err)
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for limit := time.Now().Add(30 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("%s never came", what)
		}
	}
}

func (f *field) expect(t *testing.T, records ...string) {
	t.Helper()
	eventually(t, strings.Join(records, ", "), func() bool { return len(f.recorded()) >= len(records) })
	if got := f.recorded(); !slices.Equal(got, records) {
		t.Errorf("recorded %q, want %q", got, records)
	}
}

var (
	loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	meter    = Device{Name: "meter-7", From: loopback, Options: mihini.ServerOptions{ListenTimeout: time.Minute}}
	listens  = []byte{0, 0, 4, 0}
)

func TestDeviceComesAndGoes(t *testing.T) {
	f := open(t, Device{Name: "other", From: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}, meter)
	conn := f.dial(t)
	conn.Write(listens)
	eventually(t, "the link", func() bool { return f.devices.Connected("meter-7") })
	if f.devices.Connected("other") {
		t.Error("a device at another address is connected")
	}
	if _, err := f.devices.Open(t.Context(), "meter-7", mihini.Target{Address: "127.0.0.1", Port: 23}); err != nil {
		t.Error(err)
	}
	frame, err := mihini.NewReader(conn).Next()
	if err != nil || frame.Command != mihini.Connect {
		t.Errorf("the device got %v, %v", frame, err)
	}
	conn.Close()
	f.expect(t, "open link meter-7", "close link meter-7 finished")
	eventually(t, "the end of the link", func() bool { return !f.devices.Connected("meter-7") })
}

func TestUnknownDevice(t *testing.T) {
	f := open(t, Device{Name: "other", From: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	f.expectReset(t)
	f.expect(t, "refuse denied")
}

func TestNotADevice(t *testing.T) {
	quick := meter
	quick.Options.ListenTimeout = 50 * time.Millisecond
	for name, test := range map[string]struct {
		device Device
		sends  string
	}{
		"HTTP":    {meter, "GET / HTTP/1.0\r\n\r\n"},
		"DATA":    {meter, "\x00\x01\x03\x00x"},
		"silence": {quick, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := open(t, test.device)
			conn := f.dial(t)
			io.WriteString(conn, test.sends)
			if _, err := conn.Read(make([]byte, 1)); err == nil {
				t.Error("it got an answer")
			}
			f.expect(t, "refuse invalid")
		})
	}
}

// A port scan leaves no record.
func TestNothingSaid(t *testing.T) {
	f := open(t, meter)
	f.dial(t).Close()
	conn := f.dial(t)
	conn.Write(listens)
	f.expect(t, "open link meter-7")
}

func TestDeviceRefused(t *testing.T) {
	refusing := meter
	refusing.Refuse = true
	f := open(t, refusing)
	first := f.dial(t)
	first.Write(listens)
	eventually(t, "the link", func() bool { return f.devices.Connected("meter-7") })
	second := f.dial(t)
	second.Write(listens)
	if _, err := second.Read(make([]byte, 1)); err == nil {
		t.Error("the second one got an answer")
	}
	f.expect(t, "open link meter-7", "open link meter-7", "close link meter-7 refused")
	if !f.devices.Connected("meter-7") {
		t.Error("the first one is gone")
	}
}

// Whose link cannot be recorded does not come in.
func TestFullAudit(t *testing.T) {
	f := open(t, meter)
	f.full = true
	conn := f.dial(t)
	conn.Write(listens)
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("it got an answer")
	}
	f.expect(t, "refuse link meter-7 internal")
}

func TestCrowd(t *testing.T) {
	f := open(t, meter)
	for range MaxWaitingEach {
		f.dial(t)
	}
	eventually(t, "a full room", func() bool { return f.handler.waiting.count() == MaxWaitingEach })
	f.expectReset(t)
	f.expect(t, "refuse invalid")

	elsewhere := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	conn, err := elsewhere.DialContext(t.Context(), "tcp", f.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.Write(listens)
	eventually(t, "the link of a device elsewhere", func() bool { return f.devices.Connected("meter-7") })
}

func TestWaiting(t *testing.T) {
	var w waiting
	var leaves []func()
	for i := range MaxWaiting + 1 {
		a := netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
		leave, entered := w.enter(a)
		if entered != (i < MaxWaiting) {
			t.Fatalf("address %d has entered: %v", i, entered)
		}
		leaves = append(leaves, leave)
	}
	for _, leave := range leaves[:MaxWaiting] {
		leave()
	}
	if w.count() != 0 || len(w.each) != 0 {
		t.Errorf("%d places are still taken", w.count())
	}
}
