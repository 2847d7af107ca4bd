//go:build unix

package inedoserve

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"jackfield/internal/logtest"
	"jackfield/wire/inedo"
)

// The test binary is the handlers' program: with this first argument it is the one of programs that the second names.
const programArgument = "be-the-program"

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == programArgument {
		programs[os.Args[2]]()
		os.Exit(0)
	}
	os.Setenv("GORACE", "atexit_sleep_ms=0")
	goleak.VerifyTestMain(m)
}

// patience is for what ought to be quick on a machine that is busy.
const patience = 30 * time.Second

// A fixture is an agent that serves, and what it logged.
type fixture struct {
	address string
	log     *logBuffer
	stop    func() // returns when Serve has
}

// program is a handler for the commands 100 to 199.
func program(name string) Handler {
	return Handler{First: 100, Last: 199, Path: os.Args[0], Args: []string{programArgument, name}}
}

func start(t testing.TB, o Options) fixture {
	t.Helper()
	log := new(logBuffer)
	o.Log = slog.New(slog.NewTextHandler(log, nil))
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan struct{})
	go func() {
		defer close(served)
		a.Serve(ctx, listener)
	}()
	f := fixture{listener.Addr().String(), log, func() { cancel(); <-served }}
	t.Cleanup(f.stop)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log:\n%s", log)
		}
	})
	return f
}

// A client is one end of a connection whose other end is the agent.
type client struct {
	*inedo.Conn
	tcp *corrupter
}

func dial(t testing.TB, f fixture, c inedo.ClientConfig) client {
	t.Helper()
	tcp := &corrupter{Conn: dialTCP(t, f)}
	conn, err := inedo.Handshake(t.Context(), tcp, c)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(patience))
	return client{conn, tcp}
}

func dialTCP(t testing.TB, f fixture) net.Conn {
	t.Helper()
	tcp, err := net.Dial("tcp", f.address)
	if err != nil {
		t.Fatal(err)
	}
	tcp.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { tcp.Close() })
	return tcp
}

// ask sends a message and returns the data of what comes back.
func (c client) ask(t testing.TB, command int32, data string) string {
	t.Helper()
	c.send(t, command, data)
	m, err := c.Receive()
	if err != nil {
		t.Fatalf("command %d: %v", command, err)
	}
	if m.Command != command {
		t.Errorf("asked %d, got an answer to %d", command, m.Command)
	}
	return string(m.Data)
}

func (c client) send(t testing.TB, command int32, data string) {
	t.Helper()
	if err := c.Send(command, []byte(data)); err != nil {
		t.Fatal(err)
	}
}

// A corrupter flips a bit while it is told to: the last of the last block but one of what is written, which, as AES-CBC has it,
// is the last bit of the plaintext, whatever the key. A random last block would have a good padding once in 256 times.
type corrupter struct {
	net.Conn
	corrupt bool
}

func (c *corrupter) Write(p []byte) (int, error) {
	if c.corrupt {
		p = bytes.Clone(p)
		p[len(p)-1-aes.BlockSize] ^= 1
	}
	return c.Conn.Write(p)
}

// CloseWrite is for TLS.
func (c *corrupter) CloseWrite() error { return c.Conn.(*net.TCPConn).CloseWrite() }

const keyText = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

// A mode is what both roles need for it.
type mode struct{ agent, client inedo.Options }

var modes = sync.OnceValue(func() map[string]mode {
	key, err := inedo.ParseKey(keyText)
	if err != nil {
		panic(err)
	}
	host := httptest.NewUnstartedServer(nil) // for its certificate
	host.StartTLS()
	defer host.Close()
	aes := inedo.Options{Mode: inedo.ModeAES, Key: key}
	return map[string]mode{
		"none": {},
		"aes":  {aes, aes},
		"ssl": {
			inedo.Options{Mode: inedo.ModeSSL, TLS: &tls.Config{Certificates: host.TLS.Certificates}},
			inedo.Options{Mode: inedo.ModeSSL, TLS: &tls.Config{InsecureSkipVerify: true}},
		},
	}
})

// A logBuffer is a log that can be waited for.
type logBuffer struct{ logtest.Buffer }

// await waits until the log has a text so many times.
func (b *logBuffer) await(t testing.TB, text string, times int) {
	t.Helper()
	eventually(t, "log: "+text, func() bool { return strings.Count(b.String(), text) >= times })
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}
