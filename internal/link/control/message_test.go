package control

import (
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"jackfield"
	"jackfield/wire/inedo"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	sixteen   = "000102030405060708090a0b0c0d0e0f "
	thirtyTwo = sixteen + "101112131415161718191a1b1c1d1e1f "
)

func nonce() (n Nonce) {
	for i := range n {
		n[i] = byte(i)
	}
	return n
}

func first16() []byte { n := nonce(); return n[:16] }

// layouts are the messages as docs/protocols/agent.md has them.
var layouts = []struct {
	name    string
	from    sender
	code    int32
	message Message
	data    string
}{
	{
		"hello", fromServer, 0x4A460001,
		&ServerHello{Version: 1, Server: "jf 1", Agent: "pi", Nonce: nonce(), PlainData: true, Data: ":9"},
		"01000000 04 6a662031 02 7069 " + thirtyTwo + "01000000 02 3a39",
	}, {
		"hello, data by TLS", fromServer, 0x4A460001, &ServerHello{Version: 1},
		"01000000 00 00" + strings.Repeat("00", NonceSize) + "00000000 00",
	}, {
		"hello", fromAgent, 0x4A460001,
		&AgentHello{
			Version: 1, Agent: "jf 1", Platform: "linux/arm64", Nonce: nonce(), Link: LinkID(first16()), Clock: time.Unix(0, 100).UTC(),
		},
		"01000000 04 6a662031 0b 6c696e75782f61726d3634 " + thirtyTwo + sixteen + "0180b5f7f57f9f08",
	}, {
		"register", fromAgent, 0x4A460002, &Register{[]Service{{"ssh", "a b"}, {"x", ""}}},
		"02000000 03 737368 03 612062 01 78 00",
	}, {
		"register nothing", fromAgent, 0x4A460002, &Register{}, "00000000",
	}, {
		"registered", fromServer, 0x4A460003, &Registered{[]Published{{"ssh", ""}, {"x", "no"}}},
		"02000000 03 737368 00 01 78 02 6e6f",
	}, {
		"open", fromServer, 0x4A460004,
		&Open{Stream: 7, Service: "ssh", Address: "a:1", User: "ann", Source: "[::1]:2", Within: 1500 * time.Millisecond},
		"0700000000000000 03 737368 03 613a31 03 616e6e 07 5b3a3a315d3a32 dc050000",
	}, {
		"open result", fromAgent, 0x4A460005, &OpenResult{7, jackfield.Denied, "no"},
		"0700000000000000 06 64656e696564 02 6e6f",
	}, {
		"close", fromServer, 0x4A460006, &Close{-1, "x"}, "ffffffffffffffff 01 78",
	}, {
		"close", fromAgent, 0x4A460006, &Close{1, ""}, "0100000000000000 00",
	}, {
		"ping", fromServer, 0x4A460007, &Ping{258}, "0201000000000000",
	}, {
		"pong", fromAgent, 0x4A460008, &Pong{258}, "0201000000000000",
	}, {
		"drain", fromServer, 0x4A460009, &Drain{"x"}, "01 78",
	}, {
		"drain", fromAgent, 0x4A460009, &Drain{}, "00",
	}, {
		"reload", fromServer, 0x4A46000A, &Reload{}, "",
	}, {
		"reload", fromAgent, 0x4A46000A, &Reloaded{"x"}, "01 78",
	}, {
		"status", fromServer, 0x4A46000B, &StatusQuery{}, "",
	}, {
		"status", fromAgent, 0x4A46000B, &Status{2 * time.Second, 3, 4, 5, 6, 7},
		"0200000000000000 0300000000000000 0400000000000000 0500000000000000 0600000000000000 07000000",
	}, {
		"attach", fromServer, 0x4A46000C, &Attach{Ticket(first16()), 9}, sixteen + "0900000000000000",
	}, {
		"attach", fromAgent, 0x4A46000C, &Attach{Ticket(first16()), 0}, sixteen + "0000000000000000",
	}, {
		"TCP remote connect", fromServer, 0x4A46000D, &Tunnel{1, "gw", 2065, "", 23},
		"0100000000000000 02 6777 11080000 00 17000000",
	}, {
		"TCP remote connect result", fromAgent, 0x4A46000E, &TunnelResult{1, "x"}, "0100000000000000 01 78",
	}, {
		"renew", fromAgent, 0x4A46000F, &Renew{"csr"}, "03 637372",
	}, {
		"renew", fromServer, 0x4A46000F, &Renewed{"crt", "ca", "x"}, "03 637274 02 6361 01 78",
	}, {
		"ready", fromAgent, 0x4A460010, &Ready{258}, "0201000000000000",
	},
}

func TestLayouts(t *testing.T) {
	for _, l := range layouts {
		t.Run(l.name+" by "+string(l.from), func(t *testing.T) {
			want, err := hex.DecodeString(strings.ReplaceAll(l.data, " ", ""))
			if err != nil {
				t.Fatal(err)
			}
			data, err := encode(l.message)
			if err != nil || !reflect.DeepEqual(append([]byte{}, data...), want) || l.message.code() != l.code {
				t.Errorf("encoded %#x as %x, %v", l.message.code(), data, err)
			}
			for _, later := range [][]byte{want, append(want, "what a later version appends"...)} {
				if got, err := decode(l.from, l.code, later); err != nil || !reflect.DeepEqual(got, l.message) {
					t.Errorf("decoded as %+v, %v", got, err)
				}
			}
			for n := range want {
				if got, err := decode(l.from, l.code, want[:n]); !errors.Is(err, inedo.ErrData) {
					t.Errorf("the first %d bytes were decoded as %+v, %v", n, got, err)
				}
			}
		})
	}
}

// What only one side says is unknown from the other.
func TestDirections(t *testing.T) {
	known := make(map[sender]map[int32]bool)
	for _, l := range layouts {
		if known[l.from] == nil {
			known[l.from] = make(map[int32]bool)
		}
		known[l.from][l.code] = true
	}
	for _, from := range []sender{fromServer, fromAgent} {
		for code := int32(0x4A460000); code < 0x4A460020; code++ {
			m := newMessage(from, code)
			unknown, isUnknown := m.(*Unknown)
			if isUnknown == known[from][code] || m.code() != code {
				t.Errorf("%#x by %c is a %T", code, from, m)
			}
			if isUnknown && unknown.Command != code {
				t.Errorf("%#x became %#x", code, unknown.Command)
			}
		}
	}
}

func TestTooLong(t *testing.T) {
	if data, err := encode(&Drain{strings.Repeat("x", 64<<10-3)}); err != nil || len(data) != 64<<10 {
		t.Errorf("the longest message has %d bytes, %v", len(data), err)
	}
	for name, m := range map[string]Message{
		"long":         &Drain{strings.Repeat("x", 64<<10-2)},
		"not UTF-8":    &Drain{"\xff"},
		"another time": &AgentHello{Clock: time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		if _, err := encode(m); !errors.Is(err, inedo.ErrLength) && !errors.Is(err, inedo.ErrData) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// drawn are messages with any content that they can have.
func drawn(t *rapid.T) (sender, Message) {
	text, number := rapid.StringN(-1, -1, 300), rapid.Int64()
	draw := func(g *rapid.Generator[string]) string { return g.Draw(t, "text") }
	services := rapid.SliceOfN(text, 0, 20)
	switch rapid.IntRange(0, 9).Draw(t, "type") {
	case 0:
		return fromServer, &ServerHello{
			Version: rapid.Int32().Draw(t, "version"), Server: draw(text), Agent: draw(text), Nonce: rapid.Make[Nonce]().Draw(t, "nonce"),
			PlainData: rapid.Bool().Draw(t, "plain"), Data: draw(text),
		}
	case 1:
		return fromAgent, &AgentHello{
			Version: rapid.Int32().Draw(t, "version"), Agent: draw(text), Platform: draw(text), Link: rapid.Make[LinkID]().Draw(t, "link"),
			Clock: time.Unix(rapid.Int64Range(-62135596800, 253402300799).Draw(t, "clock"), 0).UTC(),
		}
	case 2:
		m := new(Register)
		for _, name := range services.Draw(t, "services") {
			m.Services = append(m.Services, Service{name, draw(text)})
		}
		return fromAgent, m
	case 3:
		m := new(Registered)
		for _, name := range services.Draw(t, "services") {
			m.Services = append(m.Services, Published{name, draw(text)})
		}
		return fromServer, m
	case 4:
		within := time.Duration(rapid.Int32().Draw(t, "within")) * time.Millisecond
		return fromServer, &Open{number.Draw(t, "stream"), draw(text), draw(text), draw(text), draw(text), within}
	case 5:
		return fromAgent, &OpenResult{number.Draw(t, "stream"), jackfield.Kind(draw(text)), draw(text)}
	case 6:
		return fromServer, &Tunnel{number.Draw(t, "n"), draw(text), rapid.Int32().Draw(t, "port"), draw(text), rapid.Int32().Draw(t, "port")}
	case 7:
		return fromServer, &Renewed{draw(text), draw(text), draw(text)}
	case 8:
		up := time.Duration(rapid.Int32Min(0).Draw(t, "up")) * time.Second
		return fromAgent, &Status{up, number.Draw(t, "n"), number.Draw(t, "n"), number.Draw(t, "n"), number.Draw(t, "n"), 1}
	}
	return fromAgent, &Attach{rapid.Make[Ticket]().Draw(t, "ticket"), number.Draw(t, "n")}
}

func TestRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, m := drawn(t)
		data, err := encode(m)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := decode(from, m.code(), data); err != nil || !reflect.DeepEqual(got, m) {
			t.Fatalf("%+v became %+v, %v", m, got, err)
		}
	})
}

// What can be decoded can be encoded again, and is then the same; nothing makes more of the data than they are.
func FuzzDecode(f *testing.F) {
	for _, l := range layouts {
		data, err := hex.DecodeString(strings.ReplaceAll(l.data, " ", ""))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(l.from == fromServer, l.code, data)
	}
	f.Fuzz(func(t *testing.T, byServer bool, code int32, data []byte) {
		from := fromAgent
		if byServer {
			from = fromServer
		}
		m, err := decode(from, code, data)
		if err != nil {
			if m != nil || !errors.Is(err, inedo.ErrData) {
				t.Errorf("%+v, %v", m, err)
			}
			return
		}
		again, err := encode(m)
		if err != nil {
			t.Fatalf("%+v: %v", m, err)
		}
		if got, err := decode(from, code, again); err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("%+v became %+v, %v", m, got, err)
		}
	})
}
