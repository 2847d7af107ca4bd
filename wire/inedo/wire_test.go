package inedo

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"
)

// A wire is the far end of a connection, where a test speaks bytes.
type wire struct {
	t    *testing.T
	conn net.Conn
}

// newWire returns a connection in memory. Nothing on the wire may take longer than a minute.
func newWire(t *testing.T) (net.Conn, wire) {
	near, far := net.Pipe()
	far.SetDeadline(time.Now().Add(time.Minute))
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, wire{t, far}
}

func (w wire) say(b []byte) {
	w.t.Helper()
	if _, err := w.conn.Write(b); err != nil {
		w.t.Fatalf("saying %x: %v", b, err)
	}
}

func (w wire) hear(want []byte) {
	w.t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(w.conn, got)
	if err != nil || !bytes.Equal(got, want) {
		w.t.Fatalf("heard  %x, %v\nwanted %x", got[:n], err, want)
	}
}

// hearEnd expects that nothing more comes.
func (w wire) hearEnd() {
	w.t.Helper()
	if rest, err := io.ReadAll(w.conn); err != nil || len(rest) > 0 {
		w.t.Fatalf("heard %x, %v; wanted the end", rest, err)
	}
}

// A script is a connection that says its bytes, then ends, and keeps what it is told.
type script struct {
	in     bytes.Reader
	out    bytes.Buffer
	writes int
	closed bool
}

func scripted(in ...[]byte) *script {
	s := &script{}
	s.in.Reset(slices.Concat(in...))
	return s
}

func (s *script) Read(p []byte) (int, error)       { return s.in.Read(p) }
func (s *script) Write(p []byte) (int, error)      { s.writes++; return s.out.Write(p) }
func (s *script) Close() error                     { s.closed = true; return nil }
func (*script) LocalAddr() net.Addr                { return &net.TCPAddr{} }
func (*script) RemoteAddr() net.Addr               { return &net.TCPAddr{} }
func (*script) SetDeadline(time.Time) error        { return nil }
func (*script) SetReadDeadline(t time.Time) error  { return nil }
func (*script) SetWriteDeadline(t time.Time) error { return nil }

// connect has both roles shake hands over the two ends of a connection. Each error is its role's.
func connect(ctx context.Context, near, far net.Conn, a AgentConfig, c ClientConfig) (agent, client *Conn, agentErr, clientErr error) {
	var accepting sync.WaitGroup
	accepting.Go(func() { agent, agentErr = Accept(ctx, far, a) })
	client, clientErr = Handshake(ctx, near, c)
	accepting.Wait()
	return agent, client, agentErr, clientErr
}

// pair is both roles over a connection in memory, which is cut at the end of the test.
func pair(t testing.TB, a AgentConfig, c ClientConfig) (agent, client *Conn) {
	t.Helper()
	near, far := net.Pipe()
	t.Cleanup(func() { near.Close() })
	agent, client, agentErr, clientErr := connect(t.Context(), near, far, a, c)
	if agentErr != nil || clientErr != nil {
		t.Fatalf("agent: %v; client: %v", agentErr, clientErr)
	}
	return agent, client
}

// both are the same options for both roles.
func both(o Options) (AgentConfig, ClientConfig) {
	return AgentConfig{Options: o}, ClientConfig{Options: o}
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// count returns n bytes that count from first.
func count(first byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

func aKey(size int) Key {
	key, err := ParseKey(hex.EncodeToString(count(0, size)))
	if err != nil {
		panic(err)
	}
	return key
}
