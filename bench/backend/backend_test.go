package backend

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a backend and returns its address; the test fails if a connection is left at its end.
func serve(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := WaitQuiet(ctx, l.Addr().String()); err != nil {
			t.Errorf("connections are left: %v", err)
		}
		l.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

func dial(t *testing.T, address string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp4", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestEcho(t *testing.T) {
	c := dial(t, serve(t))
	check(t, Echo(c))
	_, err := io.WriteString(c, "there and back")
	check(t, err)
	check(t, c.CloseWrite())
	if got, err := io.ReadAll(c); err != nil || string(got) != "there and back" {
		t.Errorf("came back: %q, %v", got, err)
	}
}

func TestSendAndItsSum(t *testing.T) {
	const n = 3<<20 + 17
	c := dial(t, serve(t))
	check(t, Send(c, n))
	got, err := io.ReadAll(c)
	check(t, err)
	sum := sha256.Sum256(got)
	if len(got) != n || hex.EncodeToString(sum[:]) != PatternSum(n) {
		t.Errorf("%d bytes came, or wrong ones", len(got))
	}
}

func TestReceiveAnswersWithTheSum(t *testing.T) {
	c := dial(t, serve(t))
	check(t, Receive(c))
	check(t, WritePattern(c, 100_000))
	check(t, c.CloseWrite())
	got, err := io.ReadAll(c)
	check(t, err)
	if hex.EncodeToString(got) != PatternSum(100_000) {
		t.Errorf("the answer is %x", got)
	}
}

func TestFinishStillReceives(t *testing.T) {
	address := serve(t)
	c := dial(t, address)
	check(t, Finish(c, 7))
	if got, err := io.ReadAll(c); err != nil || string(got) != Greeting {
		t.Fatalf("greeting: %q, %v", got, err)
	}
	check(t, WritePattern(c, 1000))
	check(t, c.CloseWrite())
	o, err := WaitOutcome(t.Context(), address, 7)
	check(t, err)
	if want := (Outcome{Bytes: 1000, Sum: PatternSum(1000), End: EndInOrder}); o != want {
		t.Errorf("outcome %+v, want %+v", o, want)
	}
}

func TestWatchTellsResetFromEnd(t *testing.T) {
	address := serve(t)
	for token, linger := range map[uint64]int{1: 0, 2: -1} {
		c := dial(t, address)
		check(t, Watch(c, token))
		check(t, c.SetLinger(linger))
		check(t, c.Close())
	}
	for token, end := range map[uint64]string{1: EndReset, 2: EndInOrder} {
		o, err := WaitOutcome(t.Context(), address, token)
		check(t, err)
		if o.End != end {
			t.Errorf("token %d: ended by %q, want %q", token, o.End, end)
		}
	}
}

func TestReset(t *testing.T) {
	c := dial(t, serve(t))
	check(t, Reset(c))
	if _, err := io.ReadAll(c); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the read ended with %v", err)
	}
}

func TestOutcomeThatNeverComes(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if o, err := WaitOutcome(ctx, serve(t), 99); err == nil {
		t.Errorf("outcome of a connection that never was: %+v", o)
	}
}

func TestPatternDoesNotRepeatWithinABuffer(t *testing.T) {
	var b bytes.Buffer
	check(t, WritePattern(&b, 2<<20))
	if b.Len() != 2<<20 {
		t.Fatalf("%d bytes", b.Len())
	}
	if bytes.Equal(b.Bytes()[:1<<20], b.Bytes()[1<<20:]) {
		t.Error("a mebibyte that is sent twice would not show")
	}
}
