package agentd

import (
	"strings"
	"testing"
	"time"

	"jackfield/internal/link/control"
)

// Who has no key, and connects again and again, does not fill the log.
func TestBadHandshakesQuiet(t *testing.T) {
	const times, most = 2 * linesAtOnce, linesAtOnce + 10
	for name, test := range map[string]struct {
		idle int // connections that take the share of the address first
		come func(*testing.T, *inbound)
	}{
		"beyond the share": {2, func(t *testing.T, a *inbound) { expectClosed(t, a.dialFrom(t, "127.0.0.1")) }},
		"no handshake": {0, func(t *testing.T, a *inbound) {
			conn := a.dialFrom(t, "127.0.0.1")
			conn.Write(make([]byte, 24))
			expectClosed(t, conn)
		}},
		"no key": {0, func(t *testing.T, a *inbound) {
			f := a.forge(t, nil)
			f.Greet(control.ServerHello{Server: "a forger"})
			f.expectClosed(t, "after the handshake")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			a := h.inbound(t, "none", h.options(), Offer{}, func(l *Listening) {
				if test.idle > 0 {
					l.MaxHandshakes = 4 * test.idle // of which one address has a quarter
					l.Protocol.Timeout = time.Hour  // they stay
				}
			})
			for range test.idle {
				a.dialFrom(t, "127.0.0.1")
			}
			for range times {
				test.come(t, a)
			}
			eventually(t, "what the agent says of it", h.logged("connection"))
			if lines := strings.Count(h.log.String(), "\n"); lines > most {
				t.Errorf("%d connections have made %d lines, %d bytes", times, lines, len(h.log.String()))
			}
		})
	}
}
