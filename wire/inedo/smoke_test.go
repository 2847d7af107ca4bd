package inedo

import (
	"net"
	"testing"
)

func TestSmoke(t *testing.T) {
	key, _ := ParseKey("000102030405060708090a0b0c0d0e0f")
	for _, o := range []Options{{}, {Mode: ModeAES, Key: key}, {Mode: ModeAES, Key: key, MaxProtocol: V1}} {
		near, far := net.Pipe()
		done := make(chan error, 1)
		go func() {
			c, err := Accept(t.Context(), far, AgentConfig{Options: o})
			if err == nil {
				var m Message
				m, err = c.Receive()
				if err == nil {
					err = c.Send(m.Command, m.Data)
				}
			}
			done <- err
		}()
		c, err := Handshake(t.Context(), near, ClientConfig{Options: o})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Send(3, []byte("x")); err != nil {
			t.Fatal(err)
		}
		m, err := c.Receive()
		if err != nil || m.Command != 3 || string(m.Data) != "x" || <-done != nil {
			t.Fatal(m, err)
		}
	}
}
