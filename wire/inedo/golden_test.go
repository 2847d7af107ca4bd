package inedo

import (
	"bytes"
	"fmt"
	"testing"
)

// The lines were computed with openssl enc from the tables of the Inedo document, and checked by another library.
const (
	requestV2 = "4ed2eb6cf74a134ab9af81d3dfc644bee8030000d0070000"
	requestV1 = "4ed2eb6cf74a134ab9af81d3dfc644bee803000000000000"
)

// goldenIV are the vectors in the lines: of the reply, of the client's two messages, of the agent's.
var goldenIV = struct{ reply, client1, client2, agent1 []byte }{
	count(0x10, 16), count(0x20, 16), count(0x30, 16), count(0x40, 16),
}

var goldenReplies = []struct {
	mode  Mode
	width Width
	wire  string
}{
	{ModeNone, WidthWide, "00d007000033000000000000000000000000000000"},
	{ModeSSL, WidthWide, "01d007000033000000000000000000000000000000"},
	{ModeAES, WidthWide, "02101112131415161718191a1b1c1d1e1fd007000033000000000000000000000000000000"},
	{ModeNone, WidthNarrow, "00d007000033000000"},
	{ModeSSL, WidthNarrow, "01d007000033000000"},
	{ModeAES, WidthNarrow, "02101112131415161718191a1b1c1d1e1fd007000033000000"},
}

// replyV1 are replies with the session ID 0.
var replyV1 = map[Mode]string{
	ModeNone: "000000000033000000000000000000000000000000",
	ModeAES:  "02101112131415161718191a1b1c1d1e1f0000000033000000000000000000000000000000",
}

// goldenTalk is what is said after the handshake: messages of the client, then one of the agent.
var goldenTalk = []struct {
	name     string
	mode     Mode
	key      int // bytes
	protocol Protocol
	client   []string
	data     []string // of the client's messages; the command is 3
	agent    string
}{
	{
		name: "clear, V2", mode: ModeNone, protocol: V2,
		client: []string{"010000000300000001"}, data: []string{"01"},
		agent: "10000000030000000f433a5c496e65646f546d705c6f7472",
	},
	{
		name: "clear, V1", mode: ModeNone, protocol: V1,
		client: []string{"01000000000300000001"}, data: []string{"01"},
		agent: "10000000030000000f433a5c496e65646f546d705c6f7472",
	},
	{
		name: "AES-256, V2", mode: ModeAES, key: 32, protocol: V2,
		client: []string{
			"200000005e96d71094d352682b2d69e8e87797245d9b5d8ab9c6dfc42430ba23bba1e178",
			"200000009f3b7504926f8bd36e3118e903a4cd4a3b0f948a599031f2a2d670f1af6d1006",
		},
		data:  []string{"01", "02"},
		agent: "30000000397c5d33928754178079162fdfab3491c4bb1b7934abf5d0d2d7a50d3645b47dfd5f1fcdbac2220dadec47a58533a1a9",
	},
	{
		name: "AES-256, V1", mode: ModeAES, key: 32, protocol: V1,
		client: []string{"200000005e96d71094d352682b2d69e8e87797245f6a48a1d661a0d8c7bb74c0d19d5dcb"},
		data:   []string{"01"},
		agent:  "30000000397c5d33928754178079162fdfab3491c4bb1b7934abf5d0d2d7a50d3645b47dfd5f1fcdbac2220dadec47a58533a1a9",
	},
	{
		name: "AES-256, no data", mode: ModeAES, key: 32, protocol: V2,
		client: []string{"200000005e96d71094d352682b2d69e8e8779724d5cde704b46a6f269f0f4420231e3cb0"},
		data:   []string{""},
		agent:  "30000000397c5d33928754178079162fdfab3491c4bb1b7934abf5d0d2d7a50d3645b47dfd5f1fcdbac2220dadec47a58533a1a9",
	},
	{
		name: "AES-128, V2", mode: ModeAES, key: 16, protocol: V2,
		client: []string{
			"200000009bb5f601884fcd6f6e29b23f82cca77a091dad14f8bb5bad44076f11d5b9929a",
			"20000000954f64f2e4e86e9eee82d20216684899399614be24d76512bddbbb564d9cfc00",
		},
		data:  []string{"01", "02"},
		agent: "3000000034aa4a156d4930d99a622fed6a5d4a0c61b72c84c807cf9a18612e037e1abf8a3167913637586fc6ce9df4b170d6586e",
	},
	{
		name: "AES-128, V1", mode: ModeAES, key: 16, protocol: V1,
		client: []string{"200000009bb5f601884fcd6f6e29b23f82cca77a8858f33f77bf9409dfe4314e70505d51"},
		data:   []string{"01"},
		agent:  "3000000034aa4a156d4930d99a622fed6a5d4a0c61b72c84c807cf9a18612e037e1abf8a3167913637586fc6ce9df4b170d6586e",
	},
	{
		name: "AES-128, no data", mode: ModeAES, key: 16, protocol: V2,
		client: []string{"200000009bb5f601884fcd6f6e29b23f82cca77ad888156a2678936b801c702d14d934a0"},
		data:   []string{""},
		agent:  "3000000034aa4a156d4930d99a622fed6a5d4a0c61b72c84c807cf9a18612e037e1abf8a3167913637586fc6ce9df4b170d6586e",
	},
}

const goldenPath = `C:\InedoTmp\otr`

// sharedChain are the agent's messages of a peer that has one chain of vectors for both directions.
var sharedChain = map[int]string{
	16: "30000000b8d2b1d845115774b30f85153653c8300e96e254694dcdea26867b69ea512bb3cc29d2ca2bb616e67550cd4bba562775",
	32: "3000000086830e87591a75e9145ec6a106a30b2f83cdfdbe560bf509ace8287b51f5d91a57885a293367ea8734e165c8214109a6",
}

func TestGoldenAgentReply(t *testing.T) {
	for _, row := range goldenReplies {
		t.Run(fmt.Sprintf("%s, %d bytes", row.mode, len(row.wire)/2), func(t *testing.T) {
			o := Options{Mode: row.mode, Key: aKey(16), TLS: agentTLS(t), random: bytes.NewReader(goldenIV.reply)}
			conn, w := newWire(t)
			accepted := make(chan error, 1)
			go func() {
				_, err := Accept(t.Context(), conn, AgentConfig{Options: o, Width: row.width})
				accepted <- err
			}()
			w.say(unhex(requestV2))
			w.hear(unhex(row.wire))
			if row.mode == ModeSSL {
				w.conn.Close() // it waits for TLS
			}
			if err := <-accepted; (err != nil) != (row.mode == ModeSSL) {
				t.Errorf("Accept: %v", err)
			}
		})
	}
}

func TestGoldenClientReadsReply(t *testing.T) {
	for _, row := range goldenReplies {
		for _, width := range []Width{WidthAuto, row.width} {
			conn := scripted(unhex(row.wire))
			reply, err := Probe(t.Context(), conn, ClientConfig{Width: width})
			want := Reply{Mode: row.mode, Slot: 2000, Version: Version{Major: 51}, Width: row.width}
			if row.mode == ModeAES {
				want.IV = [16]byte(goldenIV.reply)
			}
			if err != nil || reply != want {
				t.Errorf("%s: %+v, %v", row.wire, reply, err)
			}
			if got := conn.out.Bytes(); !bytes.Equal(got, unhex(requestV2)) || conn.writes != 1 {
				t.Errorf("the request was %x in %d writes", got, conn.writes)
			}
			if !conn.closed {
				t.Error("the connection is open")
			}
		}
	}
}

func goldenOptions(mode Mode, key int, ivs ...[]byte) Options {
	o := Options{Mode: mode, random: bytes.NewReader(bytes.Join(ivs, nil))}
	if key > 0 {
		o.Key = aKey(key)
	}
	return o
}

func TestGoldenAgent(t *testing.T) {
	for _, row := range goldenTalk {
		t.Run(row.name, func(t *testing.T) {
			conn, w := newWire(t)
			done := make(chan struct{})
			go func() {
				defer close(done)
				if row.protocol == V1 {
					w.say(unhex(requestV1))
					w.hear(unhex(replyV1[row.mode]))
				} else {
					w.say(unhex(requestV2))
					w.hear(unhex(replyOf(row.mode)))
				}
				for _, m := range row.client {
					w.say(unhex(m))
				}
				w.hear(unhex(row.agent))
				w.hearEnd()
			}()
			c, err := Accept(t.Context(), conn, AgentConfig{
				Options: goldenOptions(row.mode, row.key, goldenIV.reply, goldenIV.agent1),
			})
			if err != nil || c.Protocol() != row.protocol {
				t.Fatalf("%+v, %v", c, err)
			}
			for _, data := range row.data {
				expect(t, c, Message{Command: 3, Data: unhex(data)})
			}
			path, err := Marshal(AgentRootPath{goldenPath})
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Send(CommandGetAgentRootPath, path); err != nil {
				t.Fatal(err)
			}
			c.Close()
			<-done
		})
	}
}

func TestGoldenClient(t *testing.T) {
	for _, row := range goldenTalk {
		answers := []string{row.agent}
		if row.mode == ModeAES {
			answers = append(answers, sharedChain[row.key])
		}
		for i, answer := range answers {
			t.Run(fmt.Sprintf("%s, answer %d", row.name, i+1), func(t *testing.T) {
				goldenClient(t, row.mode, row.key, row.protocol, row.client, row.data, answer)
			})
		}
	}
}

func goldenClient(t *testing.T, mode Mode, key int, protocol Protocol, messages, data []string, answer string) {
	conn, w := newWire(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if protocol == V1 {
			w.hear(unhex(requestV1))
			w.say(unhex(replyV1[mode]))
		} else {
			w.hear(unhex(requestV2))
			w.say(unhex(replyOf(mode)))
		}
		for _, m := range messages {
			w.hear(unhex(m))
		}
		w.say(unhex(answer))
		w.hearEnd()
	}()
	config := ClientConfig{Options: goldenOptions(mode, key, goldenIV.client1, goldenIV.client2)}
	config.MaxProtocol = protocol
	c, err := Handshake(t.Context(), conn, config)
	if err != nil || c.Protocol() != protocol {
		t.Fatalf("%+v, %v", c, err)
	}
	for _, d := range data {
		if err := c.Send(3, unhex(d)); err != nil {
			t.Fatal(err)
		}
	}
	m, err := c.Receive()
	var path AgentRootPath
	if err != nil || m.Command != CommandGetAgentRootPath || Unmarshal(m.Data, &path) != nil || path.Path != goldenPath {
		t.Errorf("%+v, %v", m, err)
	}
	c.Close()
	<-done
}

// replyOf is the wide reply of a mode, in V2.
func replyOf(mode Mode) string {
	for _, row := range goldenReplies {
		if row.mode == mode && row.width == WidthWide {
			return row.wire
		}
	}
	panic("no such mode")
}

func expect(t testing.TB, c *Conn, want Message) {
	t.Helper()
	got, err := c.Receive()
	if err != nil || got.Type != want.Type || got.Command != want.Command || !bytes.Equal(got.Data, want.Data) {
		t.Fatalf("received %+v, %v; wanted %+v", got, err, want)
	}
}

func TestGUID(t *testing.T) {
	const printed = "6CEBD24E-4AF7-4A13-B9AF-81D3DFC644BE"
	g, err := ParseGUID(printed)
	if err != nil || g != protocolID || g.String() != printed {
		t.Errorf("%v, %v", g, err)
	}
	if got := g.swap(); !bytes.Equal(got[:], unhex("4ed2eb6cf74a134ab9af81d3dfc644be")) {
		t.Errorf("%x", got)
	}
	for _, s := range []string{"", "6CEBD24E", printed[1:] + "0", printed[:35] + "g", printed + "0", "{" + printed[1:35] + "}"} {
		if g, err := ParseGUID(s); err == nil {
			t.Errorf("%q is %v", s, g)
		}
	}
}
