package builtin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"jackfield"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNew(t *testing.T) {
	for _, name := range Names() {
		r, err := New(name)
		if err != nil || r.String() != "builtin "+name {
			t.Errorf("New(%q) = %v, %v", name, r, err)
		}
	}
	if want := []string{"chargen", "daytime", "discard", "echo", "qotd", "time"}; !slices.Equal(Names(), want) {
		t.Errorf("Names = %v, want %v", Names(), want)
	}
	_, err := New("ECHO")
	if err == nil || !strings.Contains(err.Error(), `"ECHO"`) || !strings.Contains(err.Error(), "chargen, daytime") {
		t.Errorf("New(ECHO): %v, want the name and those that there are", err)
	}
}

// Each service is tested through both forms of the route.
func bothForms(t *testing.T, name string, test func(t *testing.T, client jackfield.Stream)) {
	t.Run("socket", func(t *testing.T) { test(t, serveSocket(t, newRoute(t, name)).client) })
	t.Run("pipe", func(t *testing.T) {
		stream, err := newRoute(t, name).Open(t.Context(), &jackfield.Request{})
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		test(t, stream)
	})
}

func TestEcho(t *testing.T) {
	bothForms(t, "echo", func(t *testing.T, client jackfield.Stream) {
		sent := make([]byte, 4<<20)
		rand.NewChaCha8([32]byte{}).Read(sent)
		var sending sync.WaitGroup
		sending.Go(func() {
			client.Write(sent)
			client.CloseWrite()
		})
		got, err := io.ReadAll(client)
		sending.Wait()
		if err != nil || sha256.Sum256(got) != sha256.Sum256(sent) {
			t.Errorf("%d bytes came back of %d, %v", len(got), len(sent), err)
		}
	})
}

func TestEchoAnswersEachPart(t *testing.T) {
	bothForms(t, "echo", func(t *testing.T, client jackfield.Stream) {
		for _, part := range []string{"a", "bc", "\x00\xff"} {
			got := make([]byte, len(part))
			io.WriteString(client, part)
			if _, err := io.ReadFull(client, got); err != nil || string(got) != part {
				t.Errorf("echo of %q: %q, %v", part, got, err)
			}
		}
	})
}

func TestDiscard(t *testing.T) {
	bothForms(t, "discard", func(t *testing.T, client jackfield.Stream) {
		if _, err := client.Write(make([]byte, 1<<20)); err != nil {
			t.Error(err)
		}
		client.CloseWrite()
		if got, err := io.ReadAll(client); len(got) != 0 || err != nil {
			t.Errorf("discard sent %q, %v", got, err)
		}
	})
}

// The lines are those of the example in RFC 864, section "Data Syntax".
func TestChargen(t *testing.T) {
	want := []string{
		` !"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_` + "`abcdefg\r\n",
		`!"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_` + "`abcdefgh\r\n",
	}
	bothForms(t, "chargen", func(t *testing.T, client jackfield.Stream) {
		client.CloseWrite() // it goes on all the same
		got := make([]byte, 74*96)
		if _, err := io.ReadFull(client, got); err != nil {
			t.Fatal(err)
		}
		lines := slices.Collect(strings.Lines(string(got)))
		if !slices.Equal(lines[:2], want) {
			t.Errorf("chargen begins %q", lines[:2])
		}
		if last := "~ !"; !strings.HasPrefix(lines[94], last) || lines[95] != lines[0] {
			t.Errorf("lines 95 and 96 are %q", lines[94:])
		}
	})
}

func TestChargenThrowsAwayWhatComes(t *testing.T) {
	bothForms(t, "chargen", func(t *testing.T, client jackfield.Stream) {
		if _, err := client.Write(make([]byte, 16<<20)); err != nil {
			t.Error(err)
		}
	})
}

func TestDaytime(t *testing.T) {
	bothForms(t, "daytime", answers(func(got []byte) bool { return string(got) == "Sat Feb  7 06:28:15 2026\r\n" }))
}

func TestTime(t *testing.T) {
	bothForms(t, "time", answers(func(got []byte) bool { return bytes.Equal(got, []byte{0xed, 0x31, 0x59, 0xff}) }))
}

// The examples of RFC 868, and the last second before the count begins again.
func TestTimeVectors(t *testing.T) {
	for date, want := range map[string]string{
		"1970-01-01T00:00:00Z": "\x83\xaa\x7e\x80", // 2,208,988,800
		"1976-01-01T00:00:00Z": "\x8e\xf3\x05\x00", // 2,398,291,200
		"1980-01-01T00:00:00Z": "\x96\x79\x24\x80", // 2,524,521,600
		"1983-05-01T00:00:00Z": "\x9c\xbc\x44\x80", // 2,629,584,000
		"2036-02-07T06:28:15Z": "\xff\xff\xff\xff",
		"2036-02-07T06:28:16Z": "\x00\x00\x00\x00",
	} {
		now, err := time.Parse(time.RFC3339, date)
		if err != nil {
			t.Fatal(err)
		}
		client, server := pipe()
		timeOfDay(server, func() time.Time { return now })
		server.Close()
		if got, _ := io.ReadAll(client); string(got) != want {
			t.Errorf("%s: %x, want %x", date, got, want)
		}
		client.Close()
	}
}

func TestQotd(t *testing.T) {
	bothForms(t, "qotd", answers(func(got []byte) bool { return slices.Contains(quotes, string(got)) }))
	for _, q := range quotes {
		if len(q) > 512 || !strings.HasSuffix(q, "\r\n") {
			t.Errorf("%q is not fit for RFC 865", q)
		}
	}
}

// answers tests a service that speaks at once: the answer arrives whole, whether the client ends its direction or has
// sent what the service does not want.
func answers(right func([]byte) bool) func(*testing.T, jackfield.Stream) {
	return func(t *testing.T, client jackfield.Stream) {
		io.WriteString(client, "unasked")
		client.CloseWrite()
		if got, err := io.ReadAll(client); err != nil || !right(got) {
			t.Errorf("the answer is %q, %v", got, err)
		}
	}
}

func newRoute(t *testing.T, name string) *Route {
	t.Helper()
	r, err := New(name)
	if err != nil {
		t.Fatal(err)
	}
	r.now = func() time.Time { return time.Date(2026, 2, 7, 6, 28, 15, 0, time.UTC) }
	return r
}

// A socketSession is a client on a socket and what serves it.
type socketSession struct {
	client *net.TCPConn
	taken  jackfield.Taken
	ended  chan error
	cancel context.CancelCauseFunc
}

func serveSocket(t *testing.T, r *Route) *socketSession {
	t.Helper()
	client, server := tcpPair(t)
	taken, err := r.TakeSocket(t.Context(), &jackfield.Request{}, server)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	s := &socketSession{client: client, taken: taken, ended: make(chan error, 1), cancel: cancel}
	var serving sync.WaitGroup
	serving.Go(func() {
		defer server.Close()
		defer taken.Release()
		_, err := taken.Serve(ctx)
		s.ended <- err
	})
	t.Cleanup(func() { client.Close(); serving.Wait(); cancel(nil) })
	return s
}

func tcpPair(t *testing.T) (client, server *net.TCPConn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn), accepted.(*net.TCPConn)
}

func TestServeCounts(t *testing.T) {
	for name, want := range map[string]jackfield.Transfer{
		"echo":    {FromClient: 5, FromService: 5},
		"discard": {FromClient: 5},
		"time":    {FromClient: 5, FromService: 4},
	} {
		s := serveSocket(t, newRoute(t, name))
		io.WriteString(s.client, "12345")
		s.client.CloseWrite()
		io.ReadAll(s.client)
		if err := <-s.ended; err != nil {
			t.Errorf("%s ended with %v", name, err)
		}
		if got := s.taken.Transfer(); got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

func TestServeCancelled(t *testing.T) {
	for _, name := range []string{"echo", "discard", "chargen"} {
		t.Run(name, func(t *testing.T) {
			s := serveSocket(t, newRoute(t, name))
			reason := errors.New("disconnected by admin")
			s.cancel(reason)
			if err := <-s.ended; err != reason {
				t.Errorf("Serve: %v, want the cause", err)
			}
			if _, err := io.Copy(io.Discard, s.client); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the client read %v, want a reset", err)
			}
		})
	}
}

func TestServeEndsWithClient(t *testing.T) {
	for _, name := range []string{"echo", "discard", "chargen"} {
		t.Run(name, func(t *testing.T) {
			s := serveSocket(t, newRoute(t, name))
			s.client.SetLinger(0)
			s.client.Close()
			if err := <-s.ended; err == nil {
				t.Error("Serve returned nil after a reset")
			}
		})
	}
}

// After its answer a service reads on for a while, and not for ever: then the client's writes fail.
func TestLinger(t *testing.T) {
	for name, test := range map[string]struct {
		wait time.Duration
		send int
		want error
	}{
		"meanwhile":  {lingerTime - 1, lingerBytes - 1, nil},
		"time over":  {lingerTime, 0, syscall.EPIPE},
		"bytes over": {0, lingerBytes, syscall.EPIPE},
	} {
		synctest.Test(t, func(t *testing.T) {
			client, err := newRoute(t, "daytime").Open(t.Context(), &jackfield.Request{})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			io.ReadAll(client)
			client.Write(make([]byte, test.send))
			time.Sleep(test.wait) // of the bubble's time
			synctest.Wait()
			if _, err := client.Write([]byte("x")); !errors.Is(err, test.want) {
				t.Errorf("%s: %v, want %v", name, err, test.want)
			}
		})
	}
}

// linger's own deadline does not undo that of a cancellation.
func TestLingerAfterCancellation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := pipe()
		defer client.Close()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		server.SetDeadline(past)
		began := time.Now()
		linger(ctx, server)
		if took := time.Since(began); took != 0 {
			t.Errorf("linger waited %v for the client", took)
		}
		server.Close()
	})
}

// Closing the stream ends the service, whatever it does: the leak check sees to that.
func TestOpenEndsWithStream(t *testing.T) {
	for _, name := range Names() {
		ctx, cancel := context.WithCancel(t.Context())
		stream, err := newRoute(t, name).Open(ctx, &jackfield.Request{})
		if err != nil {
			t.Fatal(err)
		}
		cancel() // of opening: the session goes on
		if name == "echo" {
			io.WriteString(stream, "x")
			if _, err := io.ReadFull(stream, make([]byte, 1)); err != nil {
				t.Errorf("after the context of opening ended: %v", err)
			}
		}
		stream.Close()
	}
}
