package relay

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"jackfield"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen. Nothing is measured against it.
const patience = 30 * time.Second

// A wire makes two connected streams: near goes to Join, far stays with the test.
type wire func(t testing.TB) (near, far jackfield.Stream)

var wires = map[string]wire{"tcp": tcpPair, "unix": unixPair, "memory": memoryPair, "tls": tlsPair}

func tcpPair(t testing.TB) (near, far jackfield.Stream) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return connect(t, listener)
}

func unixPair(t testing.TB) (near, far jackfield.Stream) {
	t.Helper()
	dir, err := os.MkdirTemp("", "relay") // t.TempDir is too long for a socket's name
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	listener, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	return connect(t, listener)
}

func connect(t testing.TB, listener net.Listener) (near, far jackfield.Stream) {
	t.Helper()
	defer listener.Close()
	dialled, err := net.Dial(listener.Addr().Network(), listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	near, far = accepted.(jackfield.Stream), dialled.(jackfield.Stream)
	t.Cleanup(func() { near.Close(); far.Close() })
	must(t, far.SetDeadline(time.Now().Add(patience)))
	return near, far
}

// A memory is one end of two pipes. It has neither a socket nor deadlines.
type memory struct {
	*io.PipeReader
	*io.PipeWriter
	net.Conn // for the addresses that nobody asks for
}

func memoryPair(t testing.TB) (near, far jackfield.Stream) {
	r1, w1 := io.Pipe()
	r2, w2 := io.Pipe()
	near, far = &memory{PipeReader: r1, PipeWriter: w2}, &memory{PipeReader: r2, PipeWriter: w1}
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

func (m *memory) Read(p []byte) (int, error)  { return m.PipeReader.Read(p) }
func (m *memory) Write(p []byte) (int, error) { return m.PipeWriter.Write(p) }
func (m *memory) CloseWrite() error           { return m.PipeWriter.Close() }
func (m *memory) Close() error                { return errors.Join(m.PipeReader.Close(), m.PipeWriter.Close()) }
func (m *memory) SetDeadline(time.Time) error { return os.ErrNoDeadline }

// A line is a running session as its two users see it.
type line struct {
	t               testing.TB
	client, service jackfield.Stream // the far ends
	cancel          context.CancelCauseFunc
	live            Counters
	done            chan struct{} // closed when end is known
	end             jackfield.End
}

// join starts a session between two wires.
func join(t testing.TB, ctx context.Context, client, service wire, o Options) *line {
	t.Helper()
	ctx, cancel := context.WithCancelCause(ctx)
	l := &line{t: t, cancel: cancel, done: make(chan struct{})}
	nearClient, farClient := client(t)
	nearService, farService := service(t)
	l.client, l.service = farClient, farService
	go func() {
		defer close(l.done)
		l.end = Join(ctx, nearClient, nearService, &l.live, o)
	}()
	t.Cleanup(func() {
		cancel(errors.New("test is over"))
		l.wait()
	})
	return l
}

// wait returns why the session ended.
func (l *line) wait() jackfield.End {
	l.t.Helper()
	select {
	case <-l.done:
		return l.end
	case <-time.After(patience):
		l.t.Fatal("the session did not end")
		return jackfield.End{}
	}
}

// ends checks why the session ended and how many bytes it passed.
func (l *line) ends(cause string, fromClient, fromService int64) {
	l.t.Helper()
	end := l.wait()
	if end.Cause != cause {
		l.t.Errorf("end = %+v, want cause %q", end, cause)
	}
	if got, want := l.live.Transfer(), (jackfield.Transfer{FromClient: fromClient, FromService: fromService}); got != want {
		l.t.Errorf("transfer = %+v, want %+v", got, want)
	}
}

// pass writes a message into one end and expects it at the other.
func pass(t testing.TB, from io.Writer, to io.Reader, message string) {
	t.Helper()
	go io.WriteString(from, message)
	got := make([]byte, len(message))
	if _, err := io.ReadFull(to, got); err != nil || string(got) != message {
		t.Fatalf("read %q, %v; want %q", got, err, message)
	}
}

func expectEOF(t testing.TB, r io.Reader) {
	t.Helper()
	if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
		t.Fatalf("read %d bytes, %v; want the end", len(rest), err)
	}
}

// expectReset reads to the end, which must be a reset, and returns what came before it.
func expectReset(t testing.TB, r io.Reader) []byte {
	t.Helper()
	rest, err := io.ReadAll(r)
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("read %d bytes, then %v; want a reset", len(rest), err)
	}
	return rest
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func randomBytes(seed uint64, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(b)
	return b
}

// eachWire runs a test for every kind of stream.
func eachWire(t *testing.T, test func(t *testing.T, w wire)) {
	for name, w := range wires {
		t.Run(name, func(t *testing.T) { test(t, w) })
	}
}

func TestAnswerArrivesAfterHalfClose(t *testing.T) {
	eachWire(t, func(t *testing.T, w wire) {
		for range 100 {
			l := join(t, t.Context(), w, w, Options{})
			go func() {
				io.WriteString(l.client, "question")
				l.client.CloseWrite()
			}()
			question, err := io.ReadAll(l.service)
			must(t, err)
			go func() {
				io.WriteString(l.service, "answer to "+string(question))
				l.service.Close()
			}()
			answer, err := io.ReadAll(l.client)
			if err != nil || string(answer) != "answer to question" {
				t.Fatalf("answer = %q, %v", answer, err)
			}
			l.ends(jackfield.EndFinished, 8, 18)
		}
	})
}

func TestServiceHalfClosesFirst(t *testing.T) {
	eachWire(t, func(t *testing.T, w wire) {
		for range 100 {
			l := join(t, t.Context(), w, w, Options{})
			pass(t, l.service, l.client, "greeting")
			must(t, l.service.CloseWrite())
			expectEOF(t, l.client)
			pass(t, l.client, l.service, "still here")
			must(t, l.client.CloseWrite())
			expectEOF(t, l.service)
			l.ends(jackfield.EndFinished, 10, 8)
		}
	})
}

func TestBothWaysAtOnce(t *testing.T) {
	eachWire(t, func(t *testing.T, w wire) {
		size := 8 << 20
		if t.Name() == "TestBothWaysAtOnce/tcp" {
			size = 64 << 20
		}
		l := join(t, t.Context(), w, w, Options{})
		sums := make(chan [2][32]byte, 2)
		for i, ends := range [][2]jackfield.Stream{{l.client, l.service}, {l.service, l.client}} {
			block := randomBytes(uint64(i), 1<<20)
			sent := sha256.New()
			go func() {
				for range size / len(block) {
					sent.Write(block)
					ends[0].Write(block)
				}
				ends[0].CloseWrite()
			}()
			go func() {
				got := sha256.New()
				io.Copy(got, ends[1])
				sums <- [2][32]byte{[32]byte(sent.Sum(nil)), [32]byte(got.Sum(nil))}
			}()
		}
		for range 2 {
			if s := <-sums; s[0] != s[1] {
				t.Errorf("sent %x, received %x", s[0], s[1])
			}
		}
		l.ends(jackfield.EndFinished, int64(size), int64(size))
	})
}

// A buffered stream is a socket in a wrapper that has read some bytes already.
type buffered struct {
	*net.TCPConn
	head *bytes.Reader
}

func (b *buffered) Read(p []byte) (int, error) {
	if b.head.Len() > 0 {
		return b.head.Read(p)
	}
	return b.TCPConn.Read(p)
}

func TestBytesInAWrapperComeFirst(t *testing.T) {
	wrapped := func(t testing.TB) (near, far jackfield.Stream) {
		near, far = tcpPair(t)
		return &buffered{near.(*net.TCPConn), bytes.NewReader([]byte("read before, "))}, far
	}
	l := join(t, t.Context(), wrapped, tcpPair, Options{})
	must(t, func() error { _, err := io.WriteString(l.client, "read after"); return err }())
	must(t, l.client.CloseWrite())
	got, err := io.ReadAll(l.service)
	if err != nil || string(got) != "read before, read after" {
		t.Fatalf("service read %q, %v", got, err)
	}
	must(t, l.service.Close())
	l.ends(jackfield.EndFinished, 23, 0)
}

func TestCountersAreLive(t *testing.T) {
	l := join(t, t.Context(), tcpPair, tcpPair, Options{})
	pass(t, l.client, l.service, "12345")
	pass(t, l.service, l.client, "123")
	eventually(t, "both messages are counted", func() bool {
		return l.live.Transfer() == jackfield.Transfer{FromClient: 5, FromService: 3}
	})
}

// eventually polls for what another goroutine is about to do.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for limit := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("never: %s", what)
		}
	}
}

// A service on a Unix socket that is gone altogether holds no session open, even if the client does not end its side.
func TestGoneServiceEndsTheSession(t *testing.T) {
	l := join(t, t.Context(), tcpPair, unixPair, Options{})
	pass(t, l.service, l.client, "answer")
	must(t, l.service.Close())
	expectEOF(t, l.client)
	l.ends(jackfield.EndFinished, 0, 6)
}
