package e2e

import (
	"bytes"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"jackfield/test/live"
	"jackfield/wire/mihini"
)

// TestServerHarmless has a server do its worst to our device. After each harm the device serves, and has no more descriptors.
func TestServerHarmless(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	echo := startEcho(t)
	device := startDevice(t, ln.Addr().String())
	accept := func() *linkEnd { // closed with this test, not with the harm
		ln.(*net.TCPListener).SetDeadline(time.Now().Add(live.Patience))
		conn, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		end := newLinkEnd(t, conn)
		end.expect(t, frame(mihini.Listen, 0, ""))
		return end
	}
	p := &servedDevice{Process: device, link: accept(), accept: accept, echo: echo}
	p.link.SetDeadline(time.Time{})
	p.check(t)
	descriptors := countDescriptors(t, &live.Server{Process: device})
	for _, h := range deviceHarms {
		t.Run(h.name, func(t *testing.T) {
			p.link.SetDeadline(time.Now().Add(live.Patience))
			before := len(device.Output())
			h.do(t, p)
			p.check(t)
			said := func() []live.Line { return live.Select(device.Output()[before:], live.Equal("msg", h.says)) }
			if h.says != "" && (!eventually(func() bool { return len(said()) >= h.times }) || len(said()) != h.times) {
				t.Errorf("%d lines of %q were expected:\n%s", h.times, h.says, device.Output()[before:])
			}
			warned := func() []live.Line { return live.Select(device.Output()[before:], live.Equal("level", "WARN")) }
			if !eventually(func() bool { return len(warned()) >= h.times }) || len(warned()) != h.times {
				t.Errorf("the log says %v", warned())
			}
			if !eventually(func() bool { return countDescriptors(t, &live.Server{Process: device}) <= descriptors }) {
				t.Errorf("%d descriptors were open, now there are %d", descriptors, countDescriptors(t, &live.Server{Process: device}))
			}
		})
	}
}

// A servedDevice is our device, of which a test is the server.
type servedDevice struct {
	*live.Process
	link   *linkEnd
	accept func() *linkEnd
	echo   string
}

// A deviceHarm is what a server does, and what the device warns of, how often.
type deviceHarm struct {
	name  string
	do    func(t *testing.T, p *servedDevice)
	says  string
	times int
}

const brokeRules, refusedStream, lostLink = "the server broke the protocol", "stream refused", "no link to the server"

var deviceHarms = []deviceHarm{
	{"DATA without bytes", func(t *testing.T, p *servedDevice) {
		p.open(t, 1)
		p.link.send(t, frame(mihini.Data, 1, ""), frame(mihini.Data, never, ""))
		p.serves(t, 1)
		p.close(t, 1)
	}, "", 0},
	{"DATA for an unknown id", func(t *testing.T, p *servedDevice) {
		p.open(t, 1)
		for range 2 { // one after the other
			p.link.send(t, frame(mihini.Data, never, strings.Repeat("\x00\x00\x02\x01", 1000)))
			p.link.expect(t, frame(mihini.Close, never, ""))
		}
		p.serves(t, 1)
		p.close(t, 1)
		p.link.send(t, frame(mihini.Data, 1, "late"))
		p.link.expect(t, frame(mihini.Close, 1, ""))
	}, "", 0},
	{"DATA for all ids at once", func(t *testing.T, p *servedDevice) {
		var all [][]byte
		for n := range mihini.MaxStreams {
			all = append(all, frame(mihini.Data, uint8(n), "all of us"))
		}
		p.link.send(t, all...)
		refused := map[uint8]bool{}
		for range mihini.MaxStreams {
			if f := p.link.next(t); f.Command != mihini.Close || refused[f.ID] {
				t.Fatalf("%v came for %d", f.Command, f.ID)
			} else {
				refused[f.ID] = true
			}
		}
	}, "", 0},
	{"CLOSE of what is not open", func(t *testing.T, p *servedDevice) {
		p.link.send(t, frame(mihini.Close, never, ""), frame(mihini.Close, never, ""))
	}, "", 0},
	{"CLOSE with payload", func(t *testing.T, p *servedDevice) {
		p.open(t, 1)
		p.open(t, 2)
		p.link.send(t, frame(mihini.Close, 1, "\x00\x05\x03\x01 why"))
		p.link.expect(t, frame(mihini.Close, 1, ""))
		p.serves(t, 2)
		p.close(t, 2)
	}, brokeRules, 1},
	{"unknown commands", func(t *testing.T, p *servedDevice) {
		p.open(t, 1)
		p.link.send(t, frame(9, 1, ""), frame(0, never, ""), frame(255, 1, strings.Repeat("\x00\x01\x02\x03", 999)), frame(5, never, "payload"))
		p.serves(t, 1)
		p.close(t, 1)
	}, brokeRules, 4},
	{"LISTEN from a server", func(t *testing.T, p *servedDevice) {
		p.link.send(t, frame(mihini.Listen, 0, ""), frame(mihini.Listen, never, "payload"))
	}, brokeRules, 2},
	{"CONNECT without payload", malformedConnect(""), brokeRules, 1},
	{"CONNECT cut short", malformedConnect("\x00\x00\x16"), brokeRules, 1},
	{"CONNECT with inner length too big", malformedConnect("\x00\x0a127.0.0.1\x00\x16"), brokeRules, 1},
	{"CONNECT with the greatest inner length", malformedConnect("\xff\xff127.0.0.1\x00\x16"), brokeRules, 1},
	{"CONNECT with a tail", func(t *testing.T, p *servedDevice) {
		whole := p.connect(t, 1)[mihini.HeaderSize:]
		p.link.send(t, frame(mihini.Connect, 1, string(whole)+"\x00\x05\x03\x01tail"))
		p.serves(t, 1)
		p.close(t, 1)
	}, "", 0},
	{"CONNECT for an open id", func(t *testing.T, p *servedDevice) {
		p.open(t, 1)
		p.serves(t, 1)
		p.open(t, 1)
		p.serves(t, 1) // no CLOSE of the old one comes before
		p.close(t, 1)
	}, "", 0},
	{"CONNECT to what is not offered", connectTo("127.0.0.2", 22), refusedStream, 1},
	{"CONNECT to a port that refuses", connectTo("127.0.0.1", 1), refusedStream, 1},
	{"CONNECT to what is no name", connectTo("127.0.0.1\nforged", 22), refusedStream, 1},
	{"CONNECT to a name that is too long", connectTo(strings.Repeat("a", 60000), 22), refusedStream, 1},
	{"large frames, a byte at a time", func(t *testing.T, p *servedDevice) {
		p.open(t, 1)
		payload := string(pattern(2, mihini.MaxPayload))
		var sending sync.WaitGroup
		sending.Go(func() {
			for _, b := range frame(mihini.Data, 1, payload) {
				if _, err := p.link.Write([]byte{b}); err != nil {
					t.Error(err)
					return
				}
			}
		})
		p.expectData(t, 1, payload)
		sending.Wait()
		p.close(t, 1)
	}, "", 0},
	{"cut within a frame", func(t *testing.T, p *servedDevice) {
		p.open(t, 1)
		p.serves(t, 1)
		p.link.send(t, frame(mihini.Data, 1, "cut")[:5])
		p.link.Close()
		p.link = p.accept()
	}, lostLink, 1},
	{"never reads", func(t *testing.T, p *servedDevice) {
		p.open(t, 1)
		p.link.SetWriteDeadline(time.Now().Add(time.Second))
		flood := frame(mihini.Data, 1, string(pattern(3, mihini.MaxPayload)))
		var err error
		for sent := 0; err == nil && sent < 64<<20; sent += len(flood) { // the echo comes back in vain
			_, err = p.link.Write(flood)
		}
		if !os.IsTimeout(err) {
			t.Errorf("the device takes everything: %v", err)
		}
		p.link.SetLinger(0)
		p.link.Close()
		p.link = p.accept()
	}, lostLink, 1},
	{"no end of nonsense", func(t *testing.T, p *servedDevice) {
		p.link.send(t, bytes.Repeat(frame(77, 1, "?"), mihini.DefaultMaxErrors-1))
		p.check(t)
		p.link.send(t, frame(77, 1, "?"))
		p.link.expectEnd(t)
		p.link = p.accept()
	}, "", mihini.DefaultMaxErrors + 1},
}

func malformedConnect(payload string) func(*testing.T, *servedDevice) {
	return func(t *testing.T, p *servedDevice) {
		p.link.send(t, frame(mihini.Connect, 1, payload))
		p.link.expect(t, frame(mihini.Close, 1, ""))
	}
}

func connectTo(host string, port uint16) func(*testing.T, *servedDevice) {
	return func(t *testing.T, p *servedDevice) {
		wire, err := mihini.AppendConnect(nil, 1, mihini.Target{Address: host, Port: port})
		if err != nil {
			t.Fatal(err)
		}
		p.link.send(t, wire)
		p.link.expect(t, frame(mihini.Close, 1, ""))
	}
}

func (p *servedDevice) connect(t *testing.T, id uint8) []byte {
	t.Helper()
	address, err := net.ResolveTCPAddr("tcp", p.echo)
	if err != nil {
		t.Fatal(err)
	}
	wire, err := mihini.AppendConnect(nil, id, mihini.Target{Address: address.IP.String(), Port: uint16(address.Port)})
	if err != nil {
		t.Fatal(err)
	}
	return wire
}

func (p *servedDevice) open(t *testing.T, id uint8) { p.link.send(t, p.connect(t, id)) }

// serves wants a stream to echo.
func (p *servedDevice) serves(t *testing.T, id uint8) {
	t.Helper()
	p.link.send(t, frame(mihini.Data, id, "hello"))
	p.expectData(t, id, "hello")
}

func (p *servedDevice) expectData(t *testing.T, id uint8, want string) {
	t.Helper()
	var got []byte
	for len(got) < len(want) {
		f := p.link.next(t)
		if f.Command != mihini.Data || f.ID != id {
			t.Fatalf("%v came for %d", f.Command, f.ID)
		}
		got = slices.Concat(got, f.Payload)
	}
	if string(got) != want {
		t.Errorf("other bytes came: %s", brief(got))
	}
}

func (p *servedDevice) close(t *testing.T, id uint8) {
	t.Helper()
	p.link.send(t, frame(mihini.Close, id, ""))
	p.link.expect(t, frame(mihini.Close, id, ""))
}

func (p *servedDevice) check(t *testing.T) {
	t.Helper()
	p.open(t, 100)
	p.serves(t, 100)
	p.close(t, 100)
}
