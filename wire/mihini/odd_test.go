package mihini

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
)

// What a server answers to input out of the ordinary, and that stream 1 then still works. Stream 1 is open, the others
// are not. Frames glued to it must not be lost.
func TestOddInputToServer(t *testing.T) {
	for name, row := range map[string]struct {
		sent    []byte
		answers [][]byte
		strikes int64
	}{
		"DATA without bytes, open":        {data(1, ""), nil, 0},
		"DATA without bytes, never used":  {data(9, ""), [][]byte{closeOf(9)}, 0},
		"DATA, never used":                {data(9, "hello"), [][]byte{closeOf(9)}, 0},
		"CLOSE with a payload, open":      {frame(Close, 2, "abcde"), [][]byte{closeOf(2)}, 1},
		"CLOSE with a payload, not open":  {frame(Close, 9, "abcde"), nil, 1},
		"CLOSE, not open":                 {closeOf(9), nil, 0},
		"unknown command, open":           {frame(77, 1, ""), nil, 1},
		"unknown with a payload, open":    {frame(77, 1, "\x00\x05\x03\x01hello"), nil, 1},
		"unknown command, not open":       {frame(77, 9, ""), [][]byte{closeOf(9)}, 1},
		"unknown with payload, not open":  {frame(0, 9, strings.Repeat("x", MaxPayload)), [][]byte{closeOf(9)}, 1},
		"second LISTEN":                   {frame(Listen, 0, ""), [][]byte{closeOf(0)}, 1},
		"second LISTEN with a payload":    {frame(Listen, 0, "again"), [][]byte{closeOf(0)}, 1},
		"LISTEN for an open stream":       {frame(Listen, 1, ""), nil, 1},
		"CONNECT, never used":             {connectTo(9, "a", 1), [][]byte{closeOf(9)}, 1},
		"CONNECT for an open stream":      {connectTo(1, "a", 1), nil, 1},
		"65535 bytes of DATA, never used": {data(9, strings.Repeat("x", MaxPayload)), [][]byte{closeOf(9)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				server, device := scriptedDevice(t, ServerOptions{})
				stream := device.open(server)
				other := device.open(server)
				device.send(data(1, "before"), row.sent, data(1, "after"))
				hear(t, stream, "beforeafter")
				device.expect(row.answers...)
				device.quiet()
				if got := server.Stats().ProtocolErrors; got != row.strikes {
					t.Errorf("%d protocol errors, want %d", got, row.strikes)
				}
				other.Close()
				stream.Close()
			})
		})
	}
}

// The same for a device.
func TestOddInputToDevice(t *testing.T) {
	for name, row := range map[string]struct {
		sent    []byte
		answers [][]byte
		strikes int64
	}{
		"DATA without bytes, open":     {data(1, ""), nil, 0},
		"DATA without bytes, not open": {data(9, ""), nil, 0},
		"DATA, not open":               {data(9, "hello"), [][]byte{closeOf(9)}, 0},
		"CLOSE with a payload":         {frame(Close, 9, "abcde"), nil, 1},
		"unknown command":              {frame(77, 9, ""), nil, 1},
		"unknown with a payload":       {frame(77, 1, "\x00\x05\x03\x01hello"), nil, 1},
		"LISTEN":                       {frame(Listen, 0, ""), nil, 1},
		"CONNECT without a payload":    {frame(Connect, 9, ""), [][]byte{closeOf(9)}, 1},
		"CONNECT, length too big":      {frame(Connect, 9, "\x00\xffsvc\x00\x17"), [][]byte{closeOf(9)}, 1},
		"CONNECT, host with a space":   {connectTo(9, "a b", 1), [][]byte{closeOf(9)}, 0},
		"CONNECT, host too long":       {connectTo(9, strings.Repeat("a", MaxHost+1), 1), [][]byte{closeOf(9)}, 0},
		"CONNECT, not allowed":         {connectTo(9, "forbidden", 1), [][]byte{closeOf(9)}, 0},
		"CONNECT, trailing bytes":      {frame(Connect, 9, "\x00\x03svc\x00\x17tail"), nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				device, server, dialed := scriptedServer(t, DeviceOptions{Allow: func(address string) error {
					if address == "forbidden:1" {
						return errors.New("not allowed")
					}
					return nil
				}})
				server.send(connectTo(1, "svc", 23))
				service := <-dialed
				server.send(data(1, "before"), row.sent, data(1, "after"))
				hear(t, service, "beforeafter")
				server.expect(row.answers...)
				server.quiet()
				if got := device.Stats().ProtocolErrors; got != row.strikes {
					t.Errorf("%d protocol errors, want %d", got, row.strikes)
				}
			})
		})
	}
}

func TestTooManyProtocolErrorsEndTheLink(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var told int
		o := Options{MaxErrors: 3, ProtocolError: func(err error) {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("a protocol error is %v", err)
			}
			told++
		}}
		server, device := scriptedDevice(t, ServerOptions{Options: o})
		stream := device.open(server)
		device.send(frame(99, 1, ""), frame(98, 1, "x"), frame(97, 1, ""))
		hearError(t, stream, ErrLinkLost)
		if err := device.end(); !errors.Is(err, ErrProtocol) || told != 3 {
			t.Errorf("the link ended after %d with %v", told, err)
		}
	})
}

// DATA for all 256 ids at once: those that are open get it, the others are answered.
func TestDataForAllIDs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server, device := scriptedDevice(t, ServerOptions{})
		var open [MaxStreams]*Stream
		for range MaxStreams / 2 {
			s := device.open(server)
			open[s.ID()] = s
		}
		var wire []byte
		for id := range MaxStreams {
			wire = append(wire, data(uint8(id), "for "+string(rune('a'+id%26)))...)
		}
		device.send(wire)
		closed := map[uint8]bool{}
		for range MaxStreams / 2 {
			f, err := device.in.Next()
			must(t, err)
			if f.Command != Close || open[f.ID] != nil || closed[f.ID] {
				t.Fatalf("%v for %d", f.Command, f.ID)
			}
			closed[f.ID] = true
		}
		for id, s := range open {
			if s != nil {
				hear(t, s, "for "+string(rune('a'+id%26)))
				s.Close()
			}
		}
	})
}

// A largest frame, one byte at a time, and a link that is cut in the middle of the next one.
func TestOneByteAtATimeThenCut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server, device := scriptedDevice(t, ServerOptions{})
		stream := device.open(server)
		text := strings.Repeat("0123456789abcde", MaxPayload/15)
		wire := append(data(1, text), data(1, "never whole")[:9]...)
		for i := range wire {
			device.send(wire[i : i+1])
		}
		hear(t, stream, text)
		device.conn.CloseWrite()
		hearError(t, stream, ErrLinkLost)
		synctest.Wait()
		if err := device.end(); err.Error() != "unexpected EOF" {
			t.Errorf("the link ended with %v", err)
		}
	})
}
