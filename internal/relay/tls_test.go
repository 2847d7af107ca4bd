//go:build unix

package relay

import (
	"net"
	"testing"

	"jackfield"
	"jackfield/internal/tlsstream"
)

func TestTLSResets(t *testing.T) {
	for name, service := range map[string]wire{"to TCP": tcpPair, "to TLS": tlsPair} {
		t.Run(name, func(t *testing.T) {
			for _, r := range roles {
				t.Run(r.name+" after an exchange", func(t *testing.T) {
					l := join(t, t.Context(), tlsPair, service, Options{})
					self, other := r.of(l)
					pass(t, l.client, l.service, "hello")
					pass(t, l.service, l.client, "hello")
					reset(self)
					expectReset(t, other)
					l.ends(r.broken, 5, 5)
				})
				t.Run(r.name+" after its own half-close", func(t *testing.T) {
					l := join(t, t.Context(), tlsPair, service, Options{})
					self, other := r.of(l)
					must(t, self.CloseWrite())
					expectEOF(t, other)
					reset(self)
					l.ends(r.broken, 0, 0)
					expectDead(t, other)
				})
				t.Run(r.name+" after the other's half-close", func(t *testing.T) {
					l := join(t, t.Context(), tlsPair, service, Options{})
					self, other := r.of(l)
					must(t, other.CloseWrite())
					expectEOF(t, self)
					reset(self)
					expectReset(t, other)
					l.ends(r.broken, 0, 0)
				})
			}
		})
	}
}

// A connection that is closed without close_notify was cut short, wherever between its bytes that happens.
func TestTLSWithoutCloseNotifyIsAReset(t *testing.T) {
	for name, cut := range map[string]func(raw net.Conn){
		"closed":      func(raw net.Conn) { raw.Close() },
		"half-closed": func(raw net.Conn) { raw.(interface{ CloseWrite() error }).CloseWrite() },
		"in a record": func(raw net.Conn) { raw.Write([]byte{23, 3, 3, 0, 40, 1, 2, 3}); raw.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			l := join(t, t.Context(), tlsPair, tcpPair, Options{})
			pass(t, l.client, l.service, "hello")
			cut(l.client.(*tlsstream.Stream).NetConn())
			expectReset(t, l.service)
			l.ends(jackfield.EndClientReset, 5, 0)
		})
	}
}

// A service that breaks behind bytes that a TLS client does not take ends the session, although TLS knows no deadline for a
// write that may be tried again.
func TestTLSClientThatNeverReads(t *testing.T) {
	t.Parallel() // it takes as long as a reset may go unseen, and as long as bytes may take to settle
	l := join(t, t.Context(), tlsPair, tcpPair, Options{})
	blockedWriter(t, l.service)
	reset(l.service)
	if end := l.wait(); end.Cause != jackfield.EndServiceReset || end.Details == "" {
		t.Errorf("end = %+v", end)
	}
}

// Most who end their direction close the connection at once. Then nobody is there to take the close_notify that follows, which
// TCP answers with RST; but both directions had ended in order.
func TestTLSClosedInOrder(t *testing.T) {
	for _, r := range roles {
		t.Run(r.name, func(t *testing.T) {
			for range 40 {
				l := join(t, t.Context(), tlsPair, tlsPair, Options{})
				self, other := r.of(l)
				must(t, self.Close())
				expectEOF(t, other)
				must(t, other.CloseWrite())
				l.ends(jackfield.EndFinished, 0, 0)
			}
		})
	}
}
