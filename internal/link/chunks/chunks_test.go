package chunks_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"jackfield/internal/link/chunks"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pipe is a carrier in memory.
type pipe struct {
	net.Conn
	written bytes.Buffer // what WriteAll was given
	closes  int
}

func (p *pipe) CloseWrite() error { return errors.New("the connection is to stay open") }
func (p *pipe) AwaitRead()        {}
func (p *pipe) NetConn() net.Conn { return p.Conn }

func (p *pipe) Write(b []byte) (int, error) { return p.WriteAll(b) }

func (p *pipe) WriteAll(buffers ...[]byte) (n int, err error) {
	all := bytes.Join(buffers, nil)
	n, err = p.Conn.Write(all)
	p.written.Write(all[:n])
	return n, err
}

func (p *pipe) Close() error {
	p.closes++
	return p.Conn.Close()
}

func newPipe(t *testing.T) (near, far *pipe) {
	t.Helper()
	a, b := net.Pipe()
	t.Cleanup(func() { a.Close(); b.Close() })
	return &pipe{Conn: a}, &pipe{Conn: b}
}

// received is what a stream makes of bytes.
func received(wire string) (string, error) {
	near, far := net.Pipe()
	go func() {
		io.WriteString(far, wire)
		far.Close()
	}()
	defer near.Close()
	got, err := io.ReadAll(chunks.New(&pipe{Conn: near}))
	return string(got), err
}

// The layout is as docs/protocols/agent.md has it.
func TestLayout(t *testing.T) {
	near, far := newPipe(t)
	var wire sync.WaitGroup
	wire.Go(func() { io.Copy(io.Discard, far) })
	s := chunks.New(near)
	io.WriteString(s, "hello")
	s.Write(nil)
	io.WriteString(s, "x")
	if err := s.CloseWrite(); err != nil {
		t.Error(err)
	}
	if want := "\x05\x00\x00\x00hello" + "\x01\x00\x00\x00x" + "\x00\x00\x00\x00"; near.written.String() != want {
		t.Errorf("sent %q", near.written.String())
	}
	near.written.Reset()
	if n, err := s.Write(make([]byte, chunks.MaxChunk+1)); n != chunks.MaxChunk+1 || err != nil {
		t.Errorf("%d bytes were written, %v", n, err)
	}
	sent := near.written.Bytes()
	if string(sent[:4]) != "\x00\x00\x10\x00" || string(sent[4+chunks.MaxChunk:]) != "\x01\x00\x00\x00\x00" {
		t.Errorf("a long one is sent as %d bytes, beginning with %q", len(sent), sent[:4])
	}
	near.Close()
	wire.Wait()
}

func TestReceived(t *testing.T) {
	for name, test := range map[string]struct {
		wire, want string
		err        error
	}{
		"a chunk":                     {"\x03\x00\x00\x00abc\x00\x00\x00\x00", "abc", nil},
		"chunks":                      {"\x01\x00\x00\x00a\x02\x00\x00\x00bc\x00\x00\x00\x00", "abc", nil},
		"nothing":                     {"\x00\x00\x00\x00", "", nil},
		"what follows is not its own": {"\x01\x00\x00\x00a\x00\x00\x00\x00\x01\x00\x00\x00b", "a", nil},
		"no end":                      {"\x01\x00\x00\x00a", "a", io.ErrUnexpectedEOF},
		"no bytes":                    {"", "", io.ErrUnexpectedEOF},
		"a part of a head":            {"\x01\x00\x00", "", io.ErrUnexpectedEOF},
		"a part of a chunk":           {"\x02\x00\x00\x00a", "a", io.ErrUnexpectedEOF},
		"a length that is negative":   {"\x01\x00\x00\x00a\xff\xff\xff\xff", "a", chunks.ErrLength},
		"one too long":                {"\x01\x00\x10\x00", "", chunks.ErrLength},
	} {
		if got, err := received(test.wire); got != test.want || !errors.Is(err, test.err) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// The longest chunk is taken.
func TestLongestChunk(t *testing.T) {
	long := strings.Repeat("x", chunks.MaxChunk)
	if got, err := received("\x00\x00\x10\x00" + long + "\x00\x00\x00\x00"); got != long || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// A deadline that passes loses nothing, wherever it finds the stream.
func TestDeadline(t *testing.T) {
	const wire = "\x02\x00\x00\x00ab\x00\x00\x00\x00"
	for cut := range len(wire) {
		near, far := newPipe(t)
		s := chunks.New(near)
		var got bytes.Buffer
		late := make(chan error, 1)
		go func() {
			_, err := io.Copy(&got, s)
			late <- err
		}()
		io.WriteString(far.Conn, wire[:cut])
		near.SetReadDeadline(time.Unix(1, 0))
		if err := <-late; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("after %d bytes: %v", cut, err)
		}
		near.SetReadDeadline(time.Time{})
		go io.WriteString(far.Conn, wire[cut:])
		if _, err := io.Copy(&got, s); err != nil || got.String() != "ab" {
			t.Errorf("after %d bytes and a deadline: %q, %v", cut, got.String(), err)
		}
	}
}

// A stream that has ended in both directions leaves its connection open for the next one; any other closes it.
func TestWhole(t *testing.T) {
	end := "\x00\x00\x00\x00"
	for name, test := range map[string]struct {
		receive, send, broken bool
		whole                 bool
	}{
		"both ends":           {receive: true, send: true, whole: true},
		"only theirs":         {receive: true},
		"only ours":           {send: true},
		"none":                {},
		"closed by something": {receive: true, send: true, broken: true},
	} {
		near, far := newPipe(t)
		go io.Copy(io.Discard, far.Conn)
		s := chunks.New(near)
		if test.receive {
			go io.WriteString(far.Conn, end)
			if n, err := s.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("%s: read %d, %v", name, n, err)
			}
		}
		if test.send {
			s.CloseWrite()
		}
		if test.broken {
			near.Conn.Close()
		}
		s.Close()
		s.Close()
		closes := 1
		if test.whole {
			closes = 0
		}
		if s.Whole() != test.whole || near.closes != closes {
			t.Errorf("%s: whole: %v, closed %d times", name, s.Whole(), near.closes)
		}
	}
}

// Whatever streams there are one after the other on a connection, in both directions and in whatever pieces: what arrives is what
// was sent, and the last one leaves the connection as the first one found it.
func TestStreams(t *testing.T) {
	piece := rapid.SliceOfN(rapid.IntRange(1, 40<<10), 0, 3)
	rapid.Check(t, func(t *rapid.T) {
		a, b := net.Pipe()
		defer a.Close()
		defer b.Close()
		near, far := &pipe{Conn: a}, &pipe{Conn: b}
		for n := range rapid.IntRange(1, 4).Draw(t, "streams") {
			sizes := [2][]int{piece.Draw(t, "there"), piece.Draw(t, "back")}
			into := rapid.IntRange(1, 50<<10).Draw(t, "read")
			streams := [2]*chunks.Stream{chunks.New(near), chunks.New(far)}
			var both sync.WaitGroup
			for side, s := range streams {
				both.Go(func() { send(t, s, uint64(n), sizes[side]) })
				both.Go(func() { expect(t, s, uint64(n), sizes[1-side], into) })
			}
			both.Wait()
			for _, s := range streams {
				if s.Close() != nil || !s.Whole() {
					t.Fatalf("stream %d was not whole", n)
				}
			}
			near.SetDeadline(time.Time{})
			far.SetDeadline(time.Time{})
		}
	})
}

// bytesOf are those that a stream of a number sends.
func bytesOf(n uint64, size int) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(n)}).Read(b) // never fails
	return b
}

func total(sizes []int) (sum int) {
	for _, size := range sizes {
		sum += size
	}
	return sum
}

func send(t *rapid.T, s *chunks.Stream, n uint64, sizes []int) {
	all := bytesOf(n, total(sizes))
	for _, size := range sizes {
		if written, err := s.Write(all[:size]); written != size || err != nil {
			t.Errorf("%d of %d were written: %v", written, size, err)
		}
		all = all[size:]
	}
	if err := s.CloseWrite(); err != nil {
		t.Error(err)
	}
}

func expect(t *rapid.T, s *chunks.Stream, n uint64, sizes []int, into int) {
	var got bytes.Buffer
	if _, err := io.CopyBuffer(struct{ io.Writer }{&got}, struct{ io.Reader }{s}, make([]byte, into)); err != nil {
		t.Error(err)
	}
	if !bytes.Equal(got.Bytes(), bytesOf(n, total(sizes))) {
		t.Errorf("%d bytes arrived, which were not sent", got.Len())
	}
}

// What cannot be a stream is refused, and what is taken for one can be sent again.
func FuzzReceive(f *testing.F) {
	for _, wire := range []string{
		"", "\x00\x00\x00\x00", "\x01\x00\x00\x00a\x00\x00\x00\x00", "\x01\x00\x00\x00a", "\xff\xff\xff\xff", "\x01\x00\x10\x00",
		"\x01\x00\x00\x00a\x02\x00\x00\x00bc\x00\x00\x00\x00more",
	} {
		f.Add([]byte(wire))
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		got, err := received(string(wire))
		if len(got) > len(wire) {
			t.Fatalf("%d bytes became %d", len(wire), len(got))
		}
		if err != nil {
			if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, chunks.ErrLength) {
				t.Fatal(err)
			}
			return
		}
		near, far := net.Pipe()
		defer near.Close()
		ctx, arrived := context.WithCancelCause(context.Background())
		go func() {
			again, err := io.ReadAll(chunks.New(&pipe{Conn: far}))
			if err == nil && string(again) != got {
				err = fmt.Errorf("%q became %q", got, again)
			}
			arrived(err)
		}()
		s := chunks.New(&pipe{Conn: near})
		io.WriteString(s, got)
		s.CloseWrite()
		<-ctx.Done()
		if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	})
}
