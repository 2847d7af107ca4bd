package mihini

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// Bytes that were seen on the wire between the original programs.
var golden = []struct {
	hex   string
	frame Frame
}{
	{"00000400", Frame{Listen, 0, []byte{}}},
	{"000f0101000b7376632e6578616d706c651e61", Frame{Connect, 1, []byte("\x00\x0bsvc.example\x1e\x61")}},
	{"000d010700093132372e302e302e3150ab", Frame{Connect, 7, []byte("\x00\x09127.0.0.1\x50\xab")}},
	{"000203016869", Frame{Data, 1, []byte("hi")}},
	{"00000207", Frame{Close, 7, []byte{}}},
}

var goldenTargets = map[int]Target{1: {"svc.example", 7777}, 2: {"127.0.0.1", 20651}}

func TestGolden(t *testing.T) {
	for i, g := range golden {
		wire, err := hex.DecodeString(g.hex)
		must(t, err)
		if got, err := AppendFrame(nil, g.frame); err != nil || !bytes.Equal(got, wire) {
			t.Errorf("%v is % x, %v; want % x", g.frame.Command, got, err, wire)
		}
		f, err := NewReader(bytes.NewReader(wire)).Next()
		if err != nil || f.Command != g.frame.Command || f.ID != g.frame.ID || !bytes.Equal(f.Payload, g.frame.Payload) {
			t.Errorf("% x was read as %+v, %v", wire, f, err)
		}
		if want, ok := goldenTargets[i]; ok {
			if got, err := ParseConnect(g.frame.Payload); err != nil || got != want {
				t.Errorf("% x asks for %v, %v; want %v", wire, got, err, want)
			}
			if got, err := AppendConnect(nil, g.frame.ID, want); err != nil || !bytes.Equal(got, wire) {
				t.Errorf("%v is % x, %v; want % x", want, got, err, wire)
			}
		}
	}
}

func TestMaxima(t *testing.T) {
	longest := Target{strings.Repeat("a", MaxAddress), 65535}
	wire, err := AppendConnect(nil, 255, longest)
	if err != nil || len(wire) != HeaderSize+MaxPayload {
		t.Fatalf("the longest address makes %d bytes, %v", len(wire), err)
	}
	if got, err := ParseConnect(wire[HeaderSize:]); err != nil || got != longest {
		t.Errorf("it was read as %d bytes, %v", len(got.Address), err)
	}
	if _, err := AppendConnect(nil, 0, Target{longest.Address + "a", 1}); !errors.Is(err, ErrMalformed) {
		t.Errorf("a longer address: %v", err)
	}
	if _, err := AppendFrame(nil, Frame{Data, 0, make([]byte, MaxPayload+1)}); !errors.Is(err, ErrMalformed) {
		t.Errorf("a longer payload: %v", err)
	}
}

func TestParseConnect(t *testing.T) {
	for name, row := range map[string]struct {
		payload string
		want    Target
		err     error
	}{
		"empty address":            {"\x00\x00\x00\x17", Target{"", 23}, nil},
		"trailing bytes":           {"\x00\x01a\x00\x17more", Target{"a", 23}, nil},
		"nothing":                  {"", Target{}, ErrMalformed},
		"no port":                  {"\x00\x00", Target{}, ErrMalformed},
		"half a port":              {"\x00\x01a\x00", Target{}, ErrMalformed},
		"length beyond the port":   {"\x00\x03a\x00\x17", Target{}, ErrMalformed},
		"length beyond everything": {"\xff\xffa\x00\x17", Target{}, ErrMalformed},
	} {
		if got, err := ParseConnect([]byte(row.payload)); got != row.want || !errors.Is(err, row.err) {
			t.Errorf("%s: %v, %v; want %v, %v", name, got, err, row.want, row.err)
		}
	}
}

// Frames arrive the same however they are cut.
func TestReaderOneByteAtATime(t *testing.T) {
	big := bytes.Repeat([]byte("mihini!"), MaxPayload)[:MaxPayload]
	wire := bytes.Join([][]byte{frame(Listen, 0, ""), data(9, string(big)), frame(77, 3, "what"), closeOf(9)}, nil)
	for name, r := range map[string]io.Reader{
		"glued":        bytes.NewReader(wire),
		"one by one":   iotest.OneByteReader(bytes.NewReader(wire)),
		"half by half": iotest.HalfReader(bytes.NewReader(wire)),
	} {
		var got []byte
		in := NewReader(r)
		f, err := in.Next()
		for ; err == nil; f, err = in.Next() {
			got, _ = AppendFrame(got, f)
		}
		if err != io.EOF || !bytes.Equal(got, wire) {
			t.Errorf("%s: %d bytes, %v; want %d", name, len(got), err, len(wire))
		}
	}
}

func TestReaderEnd(t *testing.T) {
	wire := data(1, "hello")
	for n := range wire {
		want := io.ErrUnexpectedEOF
		if n == 0 {
			want = io.EOF
		}
		if _, err := NewReader(bytes.NewReader(wire[:n])).Next(); err != want {
			t.Errorf("%d bytes of a frame: %v, want %v", n, err, want)
		}
	}
	broken := errors.New("broken")
	if _, err := NewReader(iotest.ErrReader(broken)).Next(); err != broken {
		t.Errorf("%v, want the connection's error", err)
	}
}

// FuzzReader: whatever comes is split into frames that make the same bytes again; no size is believed beyond what comes.
func FuzzReader(f *testing.F) {
	for _, g := range golden {
		wire, _ := hex.DecodeString(g.hex)
		f.Add(wire)
	}
	f.Add([]byte("\xff\xff\x03\x01short"))
	f.Add([]byte("\x00\x05\x63\x00hello\x00\x00\x02\x01"))
	f.Fuzz(func(t *testing.T, wire []byte) {
		in := NewReader(iotest.HalfReader(bytes.NewReader(wire)))
		var got []byte
		for {
			frame, err := in.Next()
			if err == io.EOF {
				break
			} else if err == io.ErrUnexpectedEOF {
				if len(wire)-len(got) >= HeaderSize+MaxPayload {
					t.Fatalf("%d bytes are no frame", len(wire)-len(got))
				}
				if !bytes.HasPrefix(wire, got) {
					t.Fatal("frames differ from what came")
				}
				return
			} else if err != nil {
				t.Fatal(err)
			}
			got, _ = AppendFrame(got, frame)
			if target, err := ParseConnect(frame.Payload); err == nil {
				again, _ := AppendConnect(nil, frame.ID, target)
				if !bytes.HasPrefix(frame.Payload, again[HeaderSize:]) {
					t.Fatalf("% x was read as %+v", frame.Payload, target)
				}
			}
		}
		if !bytes.Equal(got, wire) {
			t.Fatal("frames differ from what came")
		}
	})
}
