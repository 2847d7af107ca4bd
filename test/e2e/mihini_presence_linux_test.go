package e2e

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"jackfield/internal/link"
	"jackfield/test/live"
	"jackfield/wire/mihini"
)

func jackfield(args ...string) *exec.Cmd { return exec.Command("jackfield", args...) }

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestDeviceReplaced: the device that comes again wins, and its old streams end; too often, it is refused.
func TestDeviceReplaced(t *testing.T) {
	t.Parallel()
	f := newField(t, fieldConfig)
	old := f.link(t, "odd", 1)
	for n := range link.MaxReplacements {
		c, id := f.open(t, old)
		old.send(t, frame(mihini.Data, id, "old"))
		expect(t, c, "old")
		next := f.link(t, "odd", n+2)
		old.expectEnd(t)
		if how, err := c.readEnd(); err != nil {
			t.Errorf("the old stream ended with %q, %v", how, err)
		}
		old = next
	}
	refused := dialLink(t, f.Addresses["odd"])
	refused.send(t, frame(mihini.Listen, 0, ""))
	refused.expectEnd(t)
	f.expectRefusal(t, "two of them")

	c, id := f.open(t, old)
	old.send(t, frame(mihini.Data, id, "still here"))
	expect(t, c, "still here")
	f.check(t)
}

// TestDeviceNotReplaced: with on_return = "refuse" the first one stays, until it is gone.
func TestDeviceNotReplaced(t *testing.T) {
	t.Parallel()
	f := newField(t, strings.Replace(fieldConfig, `listeners = ["odd"]`, `listeners = ["odd"]`+"\n  on_return = \"refuse\"", 1))
	first := f.link(t, "odd", 1)
	c, id := f.open(t, first)
	second := dialLink(t, f.Addresses["odd"])
	second.send(t, frame(mihini.Listen, 0, ""))
	second.expectEnd(t)
	f.expectRefusal(t, "connected already")
	first.send(t, frame(mihini.Data, id, "still here"))
	expect(t, c, "still here")
	first.Close()
	f.awaitAway(t, "odd")
	third := f.link(t, "odd", 2)
	f.open(t, third)
	f.check(t)
}

// expectRefusal wants one device to have been refused, for this reason, and the audit to know.
func (f *field) expectRefusal(t *testing.T, why string) {
	t.Helper()
	f.awaitLines(t, 1, live.Equal("msg", "device refused"))
	lines := live.Select(f.Output(), live.Equal("msg", "device refused"))
	if len(lines) != 1 || lines[0]["device"] != "odd" || !strings.Contains(lines[0]["error"].(string), why) {
		t.Errorf("the log says %v", lines)
	}
	records := func() []live.Line {
		return auditLines(t, f.dir, live.Equal("event", "close"), live.Equal("route", "link odd"), live.Equal("end", "refused"))
	}
	if !eventually(func() bool { return len(records()) == 1 }) {
		t.Errorf("the audit says %v", auditLines(t, f.dir, live.Equal("event", "close")))
	}
}

const portsConfig = `
listener "port" {
  protocol = "tcp"
  listen   = "127.0.0.1:${env("port")}"
  service  = "odd"
}
listener "polite" {
  protocol  = "tcp"
  listen    = "127.0.0.1:0"
  service   = "odd"
  when_down = "accept_close"
}
`

// TestPortsFollowDevice: a port is open while the device of its service is there, or accepts and closes meanwhile.
func TestPortsFollowDevice(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	f := newField(t, fieldConfig+portsConfig, "port="+port)
	address := net.JoinHostPort("127.0.0.1", port)
	for n := range 3 {
		if !eventually(func() bool { return refusesConnections(address) }) {
			t.Error("the port is open without the device")
		}
		polite := open(t, f.Server, "polite")
		if how, err := polite.readEnd(); err != nil {
			t.Errorf("the client of a device that is away ended with %q, %v", how, err)
		}
		polite.close()

		odd := f.link(t, "odd", n+1)
		if !eventually(func() bool { return !refusesConnections(address) }) {
			t.Fatal("the port stays closed")
		}
		odd.closeStream(t) // of the look
		for _, to := range []string{address, f.Addresses["polite"]} {
			c, err := connect(to)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.close)
			id := odd.expectConnect(t)
			odd.send(t, frame(mihini.Data, id, "hello"))
			expect(t, c, "hello")
		}
		odd.Close()
		f.awaitAway(t, "odd")
	}
	f.check(t)
}

// refusesConnections says that an address refuses a client, which is gone again.
func refusesConnections(address string) bool {
	c, err := connect(address)
	if err == nil {
		c.close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// closeStream lets the server open a stream and close it.
func (e *linkEnd) closeStream(t *testing.T) {
	t.Helper()
	id := e.expectConnect(t)
	e.expect(t, frame(mihini.Close, id, ""))
	e.send(t, frame(mihini.Close, id, ""))
}

// TestReloadRemovesDevice: a device that the configuration does not know any more is cut, with its streams; others stay.
func TestReloadRemovesDevice(t *testing.T) {
	t.Parallel()
	f := newField(t, fieldConfig)
	odd := f.link(t, "odd", 1)
	c, _ := f.open(t, odd)
	stays := f.client(t, "echo")
	without := fieldConfig[:strings.Index(fieldConfig, `device "odd"`)] + fieldConfig[strings.Index(fieldConfig, `service "echo"`):strings.Index(fieldConfig, `service "odd"`)]
	if out, status := reload(t, f.dir, without); status != 0 {
		t.Fatal(out)
	}
	odd.expectEnd(t)
	if how, err := c.readEnd(); err != nil {
		t.Errorf("the stream ended with %q, %v", how, err)
	}
	ended := func() []live.Line {
		return auditLines(t, f.dir, live.Equal("event", "close"), live.Equal("route", "link odd"))
	}
	if !eventually(func() bool { return len(ended()) == 1 }) || !strings.Contains(ended()[0]["end"].(string), "does not know the device") {
		t.Errorf("the audit says %v", ended())
	}
	say(t, stays, "still here")
	expect(t, stays, "still here")
	f.check(t)
}

// TestStopWithDevice: a device without sessions does not keep a server that stops, which would wait five minutes for some.
func TestStopWithDevice(t *testing.T) {
	t.Parallel()
	f := newField(t, fieldConfig)
	odd := f.link(t, "odd", 1)
	f.check(t)
	if err := f.Stop(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	odd.expectEnd(t)
	for _, device := range []string{"meter", "odd"} {
		if n := len(auditLines(t, f.dir, live.Equal("event", "close"), live.Equal("route", "link "+device))); n != 1 {
			t.Errorf("%s: %d records", device, n)
		}
	}
}

// TestDrainWithDevice: sessions through a device finish while the server stops.
func TestDrainWithDevice(t *testing.T) {
	t.Parallel()
	f := newField(t, fieldConfig)
	c := f.client(t, "echo")
	signalServer(t, f.Server, syscall.SIGTERM)
	awaitLog(t, f.Server, live.Equal("msg", "stopping"))
	say(t, c, "still here")
	expect(t, c, "still here")
	c.CloseWrite()
	expectEnd(t, c, "FIN")
	if err := f.Stop(syscall.Signal(0)); err != nil {
		t.Error(err)
	}
}
