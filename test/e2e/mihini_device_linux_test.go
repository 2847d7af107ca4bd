package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"jackfield/test/live"
	"jackfield/wire/mihini"
)

// fieldConfig is a server with two devices: "meter", which is "jackfield mihini device", and "odd", which a test plays.
const fieldConfig = `
data_dir      = "data"
drain_timeout = "5m"
admin {
  listen = "127.0.0.1:0"
}
listener "mux" {
  protocol = "tcpmux"
  listen   = "127.0.0.1:0"
}
listener "field" {
  protocol = "mihini"
  listen   = "127.0.0.1:0"
}
listener "odd" {
  protocol       = "mihini"
  listen         = "127.0.0.1:0"
  listen_timeout = "1m"
}
device "meter" {
  listeners   = ["field"]
  close_delay = "0s"
}
device "odd" {
  listeners = ["odd"]
}
service "echo" {
  listeners = ["mux"]
  device    = "meter"
  address   = env("echo")
}
service "reply" {
  listeners = ["mux"]
  device    = "meter"
  address   = env("reply")
}
service "odd" {
  listeners = ["mux"]
  device    = "odd"
  address   = "svc.example:7777"
}
`

// A field is a server and the device "meter", which reaches every address of 127.0.0.1.
type field struct {
	*live.Server
	dir   string
	meter *live.Process
}

// newField serves a configuration with the services of fieldConfig, and has the meter come.
func newField(t *testing.T, config string, environment ...string) *field {
	t.Helper()
	reply, stop, err := startBackend(backends["reply"])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	s, dir := serveEcho(t, config, append(environment, "reply="+reply)...)
	f := &field{Server: s, dir: dir}
	f.meter = startDevice(t, s.Addresses["field"])
	f.awaitDevice(t, "meter", 1)
	return f
}

// startDevice runs "jackfield mihini device" until the test ends.
func startDevice(t *testing.T, server string, flags ...string) *live.Process {
	t.Helper()
	return startProcess(t, exec.Command("jackfield",
		append([]string{"mihini", "device", "--server", server, "--allow", "127.0.0.1:1-65535"}, flags...)...))
}

// startProcess runs a command until the test ends.
func startProcess(t *testing.T, cmd *exec.Cmd) *live.Process {
	t.Helper()
	p, err := live.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
	})
	return p
}

// awaitDevice waits until a device has come for the nth time.
func (f *field) awaitDevice(t *testing.T, device string, n int) {
	t.Helper()
	f.awaitLines(t, n, live.Equal("msg", "device connected"), live.Equal("device", device))
}

func (f *field) awaitLines(t *testing.T, n int, tests ...live.Test) {
	t.Helper()
	if err := f.WaitFor(func(output string) bool { return len(live.Select(output, tests...)) >= n }); err != nil {
		t.Fatal(err)
	}
}

// awaitAway waits until a device has no link.
func (f *field) awaitAway(t *testing.T, device string) {
	t.Helper()
	if !eventually(func() bool { return !f.device(t, device).Connected }) {
		t.Fatalf("%s is still connected", device)
	}
}

// A deviceState is what "jackfield devices --json" says.
type deviceState struct {
	Name, Listener, Source string
	Connected              bool
	Streams, Stalled       int
	ProtocolErrors         int `json:"protocol_errors"`
	Opened                 int
}

func (f *field) device(t *testing.T, name string) deviceState {
	t.Helper()
	out, err := exec.Command("jackfield", "devices", "--json", "--socket", filepath.Join(f.dir, "data/admin.sock")).Output()
	if err != nil {
		t.Fatal(err)
	}
	var states []deviceState
	if err := json.Unmarshal(out, &states); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	i := slices.IndexFunc(states, func(s deviceState) bool { return s.Name == name })
	if i < 0 {
		t.Fatalf("there is no device %q: %s", name, out)
	}
	return states[i]
}

// metric reads a sample, such as `go_goroutines`, from the admin port; -1 if there is none.
func (f *field) metric(t *testing.T, sample string) float64 {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: live.Patience}
	answer, err := client.Get("http://" + f.Addresses["admin"] + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, sample+" "); ok {
			number, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatal(err)
			}
			return number
		}
	}
	return -1
}

// client opens a service by its name.
func (f *field) client(t *testing.T, service string) *client {
	t.Helper()
	c := open(t, f.Server, "mux")
	say(t, c, service+"\r\n")
	expect(t, c, "+\r\n")
	return c
}

// check is what must always work.
func (f *field) check(t *testing.T) {
	t.Helper()
	for service, answer := range map[string]string{"echo": "+\r\nhello", "reply": "+\r\ngot hello"} {
		if err := exchange(f.Addresses["mux"], service+"\r\nhello", answer); err != nil {
			t.Errorf("%s: %v", service, err)
		}
	}
}

// An end is one end of a link, played by a test.
type linkEnd struct {
	*net.TCPConn
	in *mihini.Reader
}

func newLinkEnd(t *testing.T, conn net.Conn) *linkEnd {
	t.Helper()
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(2 * live.Patience))
	return &linkEnd{conn.(*net.TCPConn), mihini.NewReader(conn)}
}

// dialLink connects as a device does, and says nothing.
func dialLink(t *testing.T, address string) *linkEnd {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return newLinkEnd(t, conn)
}

// link connects to the listener and the server as the device of the same name, for the nth time.
func (f *field) link(t *testing.T, device string, n int) *linkEnd {
	t.Helper()
	end := dialLink(t, f.Addresses[device])
	end.send(t, frame(mihini.Listen, 0, ""))
	f.awaitDevice(t, device, n)
	return end
}

// open opens the service "odd", over the link, and returns the client and the stream's id.
func (f *field) open(t *testing.T, end *linkEnd) (*client, uint8) {
	t.Helper()
	c := f.client(t, "odd")
	return c, end.expectConnect(t)
}

func frame(c mihini.Command, id uint8, payload string) []byte {
	wire, err := mihini.AppendFrame(nil, mihini.Frame{Command: c, ID: id, Payload: []byte(payload)})
	if err != nil {
		panic(err) // the test is wrong
	}
	return wire
}

// send writes frames, or what looks like it, at once.
func (e *linkEnd) send(t *testing.T, frames ...[]byte) {
	t.Helper()
	if _, err := e.Write(slices.Concat(frames...)); err != nil {
		t.Fatal(err)
	}
}

func (e *linkEnd) next(t *testing.T) mihini.Frame {
	t.Helper()
	f, err := e.in.Next()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// expect wants exactly these frames next.
func (e *linkEnd) expect(t *testing.T, frames ...[]byte) {
	t.Helper()
	for _, want := range frames {
		f := e.next(t)
		got, _ := mihini.AppendFrame(nil, f)
		if !bytes.Equal(got, want) {
			t.Fatalf("%s came, not %s", brief(got), brief(want))
		}
	}
}

func brief(wire []byte) string {
	return fmt.Sprintf("% x (%d bytes)", wire[:min(len(wire), 24)], len(wire))
}

// expectConnect wants CONNECT to the service "odd".
func (e *linkEnd) expectConnect(t *testing.T) uint8 {
	t.Helper()
	f := e.next(t)
	target, err := mihini.ParseConnect(f.Payload)
	if f.Command != mihini.Connect || err != nil || target.String() != "svc.example:7777" {
		t.Fatalf("%v came with %v (%v)", f.Command, target, err)
	}
	return f.ID
}

// expectEnd wants the link to end before another frame.
func (e *linkEnd) expectEnd(t *testing.T) {
	t.Helper()
	if f, err := e.in.Next(); err == nil || err == io.ErrUnexpectedEOF {
		t.Errorf("%v came on the link, %v", f.Command, err)
	} else if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		t.Error("the link has not ended")
	}
}

var lastPort atomic.Int32

// freePort returns a port that nobody listens on. It is none that the kernel gives to a client or to a listener that takes any
// (ip_local_port_range, ip(7)): there are tests beside this one.
func freePort(t *testing.T) string {
	t.Helper()
	for {
		port := strconv.Itoa(20000 + int(lastPort.Add(1)))
		ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
		switch {
		case err == nil:
			ln.Close()
			return port
		case !errors.Is(err, syscall.EADDRINUSE):
			t.Fatal(err)
		}
	}
}
