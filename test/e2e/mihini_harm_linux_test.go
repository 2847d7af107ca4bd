package e2e

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"jackfield/test/live"
	"jackfield/wire/mihini"
)

// A linkHarm is what a bad device does to the server. Said is how many lines the log has of it: refusals, and broken rules.
type linkHarm struct {
	name string
	do   func(t *testing.T, f *field, dial func() *linkEnd)
	said int
}

var linkHarms = []linkHarm{
	{"DATA without bytes", dataWithoutBytes, 0},
	{"DATA for an unknown id", dataForUnknown, 0},
	{"DATA for a closed id", dataForClosed, 0},
	{"DATA for all ids at once", dataForAll, 0},
	{"CLOSE with payload", closeWithPayload, 1},
	{"unknown commands", unknownCommands, 4},
	{"CONNECT from a device", connectFromDevice, 2},
	{"LISTEN again", listenAgain, 2},
	{"no end of nonsense", endlessNonsense, 32},
	{"header in two pieces", headerInPieces, 0},
	{"LISTEN in pieces, with id and payload", listenInPieces, 0},
	{"LISTEN late", listenLate, 1},
	{"LISTEN not first", listenNotFirst, 1},
	{"gone before LISTEN", func(_ *testing.T, _ *field, dial func() *linkEnd) { dial().Close() }, 0},
	{"gone within LISTEN", goneWithinListen, 1},
	{"large frames, a byte at a time", byteByByte, 0},
	{"cut within a frame", cutWithinFrame, 0},
	{"257th client", oneClientTooMany, 1},
	{"never reads", deviceNeverReads, 0},
	{"from an unknown address", unknownAddress, 1},
}

// TestDeviceHarmless has a device do its worst. After each harm the server lives, another device serves, the log has a line
// for each refusal, and neither descriptors nor goroutines have become more.
func TestDeviceHarmless(t *testing.T) {
	t.Parallel()
	f := newField(t, fieldConfig+`
listener "named" {
  protocol = "mihini"
  listen   = "127.0.0.1:0"
}
device "elsewhere" {
  listeners = ["named"]
  from      = ["192.0.2.1"]
}
listener "hasty" {
  protocol       = "mihini"
  listen         = "127.0.0.1:0"
  listen_timeout = "3s"
}
device "late" {
  listeners = ["hasty"]
}
`)
	f.check(t)
	for _, h := range linkHarms {
		t.Run(h.name, func(t *testing.T) {
			defer f.expectKept(t, "meter")
			f.steady(t, func() {
				before := len(f.Output())
				t.Run("harm", func(t *testing.T) {
					h.do(t, f, func() *linkEnd { return dialLink(t, f.Addresses["odd"]) })
				})
				f.check(t)
				f.awaitAway(t, "odd")
				f.expectSaid(t, before, h.said)
			})
		})
	}
}

// expectKept wants a device to have come once.
func (f *field) expectKept(t *testing.T, device string) {
	t.Helper()
	if n := len(live.Select(f.Output(), live.Equal("msg", "device connected"), live.Equal("device", device))); n != 1 {
		t.Errorf("%s has come %d times", device, n)
	}
}

// expectSaid wants n lines about refusals or broken rules in the log.
func (f *field) expectSaid(t *testing.T, before, n int) {
	t.Helper()
	said := func() (lines []live.Line) {
		for _, message := range []string{"request refused", "device refused", "device broke the protocol"} {
			lines = append(lines, live.Select(f.Output()[before:], live.Equal("msg", message))...)
		}
		return lines
	}
	if !eventually(func() bool { return len(said()) >= n }) || len(said()) > n {
		t.Errorf("%d lines were expected, the log says %v", n, said())
	}
}

// steady wants the server to have no more descriptors and goroutines after something than before.
func (f *field) steady(t *testing.T, do func()) {
	t.Helper()
	running := func() int { return int(f.metric(t, "go_goroutines")) }
	descriptors, goroutines := countDescriptors(t, f.Server), usual(running)
	if goroutines <= 0 {
		t.Fatal("there is no metric go_goroutines")
	}
	do()
	if !eventually(func() bool { return countDescriptors(t, f.Server) <= descriptors }) {
		t.Errorf("%d descriptors were open, now there are %d", descriptors, countDescriptors(t, f.Server))
	}
	if !eventually(func() bool { return running() <= goroutines }) {
		t.Errorf("there were %d goroutines, now there are %d", goroutines, running())
	}
}

// opened is a link with one open stream.
func opened(t *testing.T, f *field, dial func() *linkEnd) (*linkEnd, *client, uint8) {
	t.Helper()
	end := dial()
	end.send(t, frame(mihini.Listen, 0, ""))
	if !eventually(func() bool { return f.device(t, "odd").Connected }) {
		t.Fatal("the device is not taken in")
	}
	c, id := f.open(t, end)
	return end, c, id
}

// serves wants a stream to carry what follows: the server has not lost track of the frames.
func serves(t *testing.T, end *linkEnd, c *client, id uint8) {
	t.Helper()
	end.send(t, frame(mihini.Data, id, "to the client"))
	expect(t, c, "to the client")
	say(t, c, "to the device")
	end.expect(t, frame(mihini.Data, id, "to the device"))
}

// never is an id that no stream has had.
const never = 200

func dataWithoutBytes(t *testing.T, f *field, dial func() *linkEnd) {
	end, c, id := opened(t, f, dial)
	end.send(t, frame(mihini.Data, id, ""), frame(mihini.Data, never, ""))
	end.expect(t, frame(mihini.Close, never, ""))
	serves(t, end, c, id)
}

func dataForUnknown(t *testing.T, f *field, dial func() *linkEnd) {
	end, c, id := opened(t, f, dial)
	end.send(t, frame(mihini.Data, never, strings.Repeat("\x00\x00\x02\x01", 1000)), frame(mihini.Data, id, "after it"))
	end.expect(t, frame(mihini.Close, never, ""))
	expect(t, c, "after it")
	serves(t, end, c, id)
}

func dataForClosed(t *testing.T, f *field, dial func() *linkEnd) {
	end, c, id := opened(t, f, dial)
	other, closed := f.open(t, end)
	end.send(t, frame(mihini.Close, closed, ""))
	end.expect(t, frame(mihini.Close, closed, ""))
	if how, err := other.readEnd(); err != nil {
		t.Errorf("the other stream ended with %q, %v", how, err)
	}
	end.send(t, frame(mihini.Data, closed, strings.Repeat("late", 1000)), frame(mihini.Data, id, "after it"),
		frame(mihini.Close, closed, ""), frame(mihini.Data, id, ", and after that"))
	end.expect(t, frame(mihini.Close, closed, ""))
	expect(t, c, "after it, and after that")
	serves(t, end, c, id)
}

func dataForAll(t *testing.T, f *field, dial func() *linkEnd) {
	end, c, id := opened(t, f, dial)
	var all [][]byte
	for n := range mihini.MaxStreams {
		all = append(all, frame(mihini.Data, uint8(n), "all of us"))
	}
	end.send(t, all...)
	refused := map[uint8]bool{}
	for range mihini.MaxStreams - 1 {
		got := end.next(t)
		if got.Command != mihini.Close || len(got.Payload) > 0 || got.ID == id || refused[got.ID] {
			t.Fatalf("%v came for %d", got.Command, got.ID)
		}
		refused[got.ID] = true
	}
	expect(t, c, "all of us")
	serves(t, end, c, id)
}

func closeWithPayload(t *testing.T, f *field, dial func() *linkEnd) {
	end, c, id := opened(t, f, dial)
	other, closed := f.open(t, end)
	end.send(t, frame(mihini.Close, closed, "\x00\x05\x03\x01 why"), frame(mihini.Data, id, "after it"))
	end.expect(t, frame(mihini.Close, closed, ""))
	if how, err := other.readEnd(); err != nil {
		t.Errorf("the stream ended with %q, %v", how, err)
	}
	expect(t, c, "after it")
	serves(t, end, c, id)
}

func unknownCommands(t *testing.T, f *field, dial func() *linkEnd) {
	end, c, id := opened(t, f, dial)
	end.send(t, frame(9, id, ""), frame(0, never, ""))
	end.expect(t, frame(mihini.Close, never, ""))
	end.send(t, frame(255, id, strings.Repeat("\x00\x01\x02\x03", 999)), frame(5, never, "payload"))
	end.expect(t, frame(mihini.Close, never, ""))
	serves(t, end, c, id)
}

func connectFromDevice(t *testing.T, f *field, dial func() *linkEnd) {
	end, c, id := opened(t, f, dial)
	wrong, _ := mihini.AppendConnect(nil, never, mihini.Target{Address: "127.0.0.1", Port: 22})
	open, _ := mihini.AppendConnect(nil, id, mihini.Target{Address: "127.0.0.1", Port: 22})
	end.send(t, wrong, open)
	end.expect(t, frame(mihini.Close, never, ""))
	serves(t, end, c, id)
}

func listenAgain(t *testing.T, f *field, dial func() *linkEnd) {
	end, c, id := opened(t, f, dial)
	end.send(t, frame(mihini.Listen, 0, ""))
	end.expect(t, frame(mihini.Close, 0, ""))
	end.send(t, frame(mihini.Listen, 0, "with a payload"))
	end.expect(t, frame(mihini.Close, 0, ""))
	serves(t, end, c, id)
}

// endlessNonsense ends the link, but no sooner than the rules say.
func endlessNonsense(t *testing.T, f *field, dial func() *linkEnd) {
	end, c, id := opened(t, f, dial)
	nonsense := frame(77, id, "?")
	end.send(t, bytes.Repeat(nonsense, mihini.DefaultMaxErrors-1))
	serves(t, end, c, id)
	end.send(t, bytes.Repeat(nonsense, 3))
	end.expectEnd(t)
	if how, err := c.readEnd(); err != nil {
		t.Errorf("the stream ended with %q, %v", how, err)
	}
}

func headerInPieces(t *testing.T, f *field, dial func() *linkEnd) {
	end, c, id := opened(t, f, dial)
	for _, b := range frame(mihini.Data, id, "hello") {
		end.send(t, []byte{b}) // TCP_NODELAY is on
	}
	expect(t, c, "hello")
	serves(t, end, c, id)
}

func listenInPieces(t *testing.T, f *field, dial func() *linkEnd) {
	end := dial()
	for _, b := range frame(mihini.Listen, 7, "hello") {
		end.send(t, []byte{b})
	}
	if !eventually(func() bool { return f.device(t, "odd").Connected }) {
		t.Fatal("the device is not taken in")
	}
	c, id := f.open(t, end)
	serves(t, end, c, id)
}

func listenLate(t *testing.T, f *field, _ func() *linkEnd) {
	dialLink(t, f.Addresses["hasty"]).expectEnd(t)
}

func listenNotFirst(t *testing.T, _ *field, dial func() *linkEnd) {
	end := dial()
	end.send(t, frame(mihini.Data, 1, "hello"))
	end.expectEnd(t)
}

func goneWithinListen(t *testing.T, _ *field, dial func() *linkEnd) {
	end := dial()
	end.send(t, frame(mihini.Listen, 0, "")[:3])
	end.CloseWrite()
	end.expectEnd(t)
}

// byteByByte sends the largest frames that there are.
func byteByByte(t *testing.T, f *field, dial func() *linkEnd) {
	end, c, id := opened(t, f, dial)
	payload := string(pattern(1, mihini.MaxPayload))
	sent := make(chan error, 1)
	go func() {
		for _, b := range frame(mihini.Data, id, payload) {
			if _, err := end.Write([]byte{b}); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	expect(t, c, payload)
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	end.send(t, frame(mihini.Data, id, payload), frame(mihini.Data, id, payload))
	expect(t, c, payload+payload)
	serves(t, end, c, id)
}

func cutWithinFrame(t *testing.T, f *field, dial func() *linkEnd) {
	end, c, id := opened(t, f, dial)
	end.send(t, frame(mihini.Data, id, "whole"), frame(mihini.Data, id, "cut")[:5])
	end.Close()
	expect(t, c, "whole")
	if how, err := c.readEnd(); how == "" {
		t.Errorf("the stream ended with %v", err)
	}
	records := func() []live.Line {
		return auditLines(t, f.dir, live.Equal("route", "link odd"), live.Equal("end_details", io.ErrUnexpectedEOF.Error()))
	}
	if !eventually(func() bool { return len(records()) == 1 }) {
		t.Errorf("the audit says %v", auditLines(t, f.dir, live.Equal("route", "link odd")))
	}
}

// oneClientTooMany is told at once, while 256 are served.
func oneClientTooMany(t *testing.T, f *field, dial func() *linkEnd) {
	end, c, id := opened(t, f, dial)
	for range mihini.MaxStreams - 1 {
		f.open(t, end)
	}
	refused := open(t, f.Server, "mux")
	say(t, refused, "odd\r\n")
	expect(t, refused, "-all lines to the device are in use, try again later [")
	serves(t, end, c, id)
	if got := f.metric(t, `jackfield_device_streams{device="odd"}`); got != mihini.MaxStreams {
		t.Errorf("the metric says %v streams", got)
	}
}

// deviceNeverReads makes its clients wait: nothing piles up in between.
func deviceNeverReads(t *testing.T, f *field, dial func() *linkEnd) {
	_, c, _ := opened(t, f, dial)
	const most = 64 << 20 // far more than the sockets' buffers hold
	c.SetWriteDeadline(time.Now().Add(time.Second))
	sent, err := c.ReadFrom(io.LimitReader(endless{}, most))
	if sent == most || !os.IsTimeout(err) {
		t.Errorf("%d bytes were sent: %v", sent, err)
	}
	f.check(t)
	c.SetLinger(0)
	c.Close()
}

func unknownAddress(t *testing.T, f *field, _ func() *linkEnd) {
	c, err := connect(f.Addresses["named"]) // which may notice the reset
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	expectEnd(t, c, "RST")
}
