package inedo

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
)

// everyMode are options under which the two ends can talk.
func everyMode(t testing.TB) map[string]Options {
	t.Helper()
	ssl := agentTLS(t)
	client := clientTLS(t)
	ssl.RootCAs, ssl.ServerName = client.RootCAs, client.ServerName
	modes := make(map[string]Options)
	for _, p := range []Protocol{V1, V2} {
		modes[fmt.Sprintf("none, %d", p)] = Options{MaxProtocol: p}
		modes[fmt.Sprintf("ssl, %d", p)] = Options{MaxProtocol: p, Mode: ModeSSL, TLS: ssl}
		modes[fmt.Sprintf("aes-128, %d", p)] = Options{MaxProtocol: p, Mode: ModeAES, Key: aKey(16)}
		modes[fmt.Sprintf("aes-256, %d", p)] = Options{MaxProtocol: p, Mode: ModeAES, Key: aKey(32)}
	}
	return modes
}

func TestBothRoles(t *testing.T) {
	for name, o := range everyMode(t) {
		t.Run(name, func(t *testing.T) {
			agent, client := pair(t, AgentConfig{Options: o}, ClientConfig{Options: o, Type: Otter})
			if agent.Protocol() != o.MaxProtocol || client.Protocol() != o.MaxProtocol || agent.Reply() != client.Reply() {
				t.Errorf("%d, %d; %+v, %+v", agent.Protocol(), client.Protocol(), agent.Reply(), client.Reply())
			}
			otter, buildMaster := Otter, BuildMaster
			if o.MaxProtocol == V2 {
				otter, buildMaster = 0, 0
			}
			var sending sync.WaitGroup
			defer sending.Wait()
			sending.Go(func() {
				client.Send(1, []byte("question"))
				client.SendMessage(Message{Type: BuildMaster, Command: -1})
			})
			sending.Go(func() { agent.SendMessage(Message{Type: BuildMaster, Command: 2, Data: []byte("answer")}) })
			expect(t, agent, Message{Type: otter, Command: 1, Data: []byte("question")})
			expect(t, agent, Message{Type: buildMaster, Command: -1})
			expect(t, client, Message{Command: 2, Data: []byte("answer")})
		})
	}
}

// Messages of many senders arrive whole.
func TestManySenders(t *testing.T) {
	const senders, each = 8, 25
	for name, o := range everyMode(t) {
		t.Run(name, func(t *testing.T) {
			agent, client := pair(t, AgentConfig{Options: o}, ClientConfig{Options: o})
			var sending sync.WaitGroup
			defer sending.Wait()
			for i := range senders {
				sending.Go(func() {
					for j := range each {
						if err := client.Send(int32(i), bytes.Repeat([]byte{byte(i)}, 10*j)); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			var next [senders]int
			for range senders * each {
				m, err := agent.Receive()
				if err != nil || m.Command < 0 || m.Command >= senders {
					t.Fatalf("%+v, %v", m, err)
				}
				i := m.Command
				if !bytes.Equal(m.Data, bytes.Repeat([]byte{byte(i)}, 10*next[i])) {
					t.Fatalf("sender %d, message %d: %x", i, next[i], m.Data)
				}
				next[i]++
			}
		})
	}
}

// Each message is one Write, in clear and encrypted.
func TestOneWrite(t *testing.T) {
	for name, o := range map[string]Options{"clear": {}, "AES": {Mode: ModeAES, Key: aKey(32)}} {
		conn := scripted(request(1000, 2000))
		c, err := Accept(t.Context(), conn, AgentConfig{Options: o})
		if err != nil {
			t.Fatal(err)
		}
		for i, size := range []int{0, 1, 1 << 20} {
			if err := c.Send(1, make([]byte, size)); err != nil || conn.writes != i+2 {
				t.Errorf("%s, %d bytes: %v, %d writes", name, size, err, conn.writes)
			}
		}
	}
}

// What Receive returns is the caller's: the next message does not change it.
func TestDataAreTheCallers(t *testing.T) {
	for name, o := range map[string]Options{"clear": {}, "AES": {Mode: ModeAES, Key: aKey(32), random: zeros{}}} {
		c := agentReading(t, o, messagesOf(t, o, Message{Command: 1, Data: []byte("first")}, Message{Command: 2, Data: []byte("other")}))
		first, err := c.Receive()
		if err != nil {
			t.Fatal(err)
		}
		_ = append(first.Data, "overflow"...)
		second, err := c.Receive()
		if err != nil || string(first.Data) != "first" || string(second.Data) != "other" {
			t.Errorf("%s: %q, %q, %v", name, first.Data, second.Data, err)
		}
	}
}
